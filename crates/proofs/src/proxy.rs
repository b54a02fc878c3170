//! Stands between the servers and the database, and cuts and delays what goes through.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What the clients and the proxy may do to each other, and how often they did.
#[derive(Debug)]
pub(crate) struct Weather {
    /// Whether faults may happen.
    stormy: AtomicBool,
    /// Whether everything that goes through the proxy is slow at the moment.
    slow: AtomicBool,
    /// How many faults there were.
    faults: AtomicU64,
    /// How many commits lost their answers.
    answers_lost: AtomicU64,
    /// Each change cuts all connections.
    cuts: watch::Sender<u64>,
}

/// In a storm: one of so many parts is held up, one connection is cut at so many parts, and one
/// COMMIT of so many loses its answer.
const DELAYED: u32 = 60;
const CUT: u32 = 1_500;
const COMMIT_CUT: u32 = 25;

impl Weather {
    pub(crate) fn calm() -> Self {
        Self {
            stormy: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            faults: AtomicU64::new(0),
            answers_lost: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
        }
    }

    pub(crate) fn set_stormy(&self, stormy: bool) {
        self.stormy.store(stormy, Ordering::SeqCst);
    }

    pub(crate) fn is_stormy(&self) -> bool {
        self.stormy.load(Ordering::SeqCst)
    }

    /// Holds up everything, or no longer.
    pub(crate) fn set_slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::SeqCst);
    }

    /// Cuts all connections between the servers and the database.
    pub(crate) fn cut_all(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    pub(crate) fn count_fault(&self) {
        self.faults.fetch_add(1, Ordering::SeqCst);
    }

    /// How many faults there were until now.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }

    /// How many commits lost their answers until now.
    pub(crate) fn answers_lost(&self) -> u64 {
        self.answers_lost.load(Ordering::SeqCst)
    }
}

/// A proxy in front of the database. Dropped, it cuts all that goes through it.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port, for a database on another one.
    pub(crate) async fn start(
        database: u16,
        weather: Arc<Weather>,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for number in 0.. {
                let Ok((client, _)) = listener.accept().await else {
                    continue;
                };
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(number);
                connections.spawn(carry(client, database, weather.clone(), random));
                // Those that have ended are forgotten.
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, accepting })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What happens to a part of what goes through.
enum Fate {
    Passes,
    /// It never arrives.
    Cut,
    /// It arrives, and its answer does not.
    AnswerLost,
}

/// Carries both ways until one end closes, or until it is cut.
async fn carry(
    mut client: TcpStream,
    database: u16,
    weather: Arc<Weather>,
    mut random: ChaCha8Rng,
) {
    let mut cuts = weather.cuts.subscribe();
    // A database that is away refuses: so does this.
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, database)).await else {
        return;
    };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut asked, mut answered) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        let (part, to) = tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(length) if length > 0 => (&asked[..length], &mut server),
                _ => return,
            },
            read = server.read(&mut answered) => match read {
                Ok(length) if length > 0 => (&answered[..length], &mut client),
                _ => return,
            },
            _ = cuts.changed() => return,
        };
        let fate = fate(&weather, &mut random, part).await;
        if matches!(fate, Fate::Cut) || to.write_all(part).await.is_err() {
            return;
        }
        if matches!(fate, Fate::AnswerLost) {
            // Gone before the answer has come, or with the answer unread.
            let pause = random.random_range(0..4);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            return;
        }
    }
}

/// Delays a part perhaps, and says what happens to it.
async fn fate(weather: &Weather, random: &mut ChaCha8Rng, part: &[u8]) -> Fate {
    if !weather.is_stormy() {
        return Fate::Passes;
    }
    if weather.slow.load(Ordering::SeqCst) || random.random_ratio(1, DELAYED) {
        let pause = random.random_range(5..60);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    let commits = part.windows(6).any(|word| word == b"COMMIT");
    let fate = if random.random_ratio(1, CUT) {
        Fate::Cut
    } else if commits && random.random_ratio(1, COMMIT_CUT) {
        weather.answers_lost.fetch_add(1, Ordering::SeqCst);
        Fate::AnswerLost
    } else {
        return Fate::Passes;
    };
    weather.count_fault();
    fate
}
