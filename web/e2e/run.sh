#!/usr/bin/env bash
# Starts a built plimsoll with a demo of its own, uses its GraphiQL page in a real browser, runs
# every example, and ends the server as a service manager would.
#   web/e2e/run.sh target/release/plimsoll
# Wants `npm ci && npm run build` done before the binary was built; CHROMIUM names the browser.
set -euo pipefail

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
  echo "usage: $0 PLIMSOLL, the path of a built binary" >&2
  exit 2
fi
plimsoll=$(realpath "$1")
web=$(realpath "$(dirname "$0")/..")
place=$(mktemp -d)
server=

finish() {
  code=$?
  trap - EXIT
  if [ -n "$server" ]; then
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  if [ "$code" -ne 0 ] && [ -s "$place/err" ]; then
    echo "The server's last words:" >&2
    tail -n 30 "$place/err" >&2
  fi
  rm -rf "$place"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  echo "$1" >&2
  exit 1
}

cd "$place"
# Nothing of the caller's settings; port 0 is any free one.
for name in DATABASE_URL ${!PLIMSOLL_*}; do unset "$name"; done
PLIMSOLL_LISTEN=127.0.0.1:0 "$plimsoll" >out 2>err &
server=$!

# What the server prints at its first start, by its first word.
said() { sed -n "s|^ *$1  *\([^ ]*\).*|\1|p" out; }
url= password=
for _ in $(seq 300); do
  kill -0 "$server" 2>/dev/null || fail "The server ended before it was ready."
  url=$(sed -n 's|^Plimsoll is at \(http://[^ ]*\).*|\1|p' out)
  password=$(said password)
  [ -n "$url" ] && [ -n "$password" ] && curl -sf -o /dev/null "$url/health/ready" && break
  url=
  sleep 0.1
done
[ -n "$url" ] || fail "The server was not ready within 30 seconds."
email=$(said login)

token=$(
  printf '{"query": "mutation { login(input: { email: \\"%s\\", password: \\"%s\\" }) { token } }"}' "$email" "$password" |
    curl -sS --fail-with-body -H 'content-type: application/json' --data-binary @- "$url/graphql" |
    sed -n 's|.*"token": *"\([^"]*\)".*|\1|p'
)
[ -n "$token" ] || fail "Logging in was answered without a token."

cd "$web"
PLIMSOLL_URL=$url PLIMSOLL_TOKEN=$token npm run --silent e2e
PLIMSOLL_URL=$url PLIMSOLL_EMAIL=$email PLIMSOLL_PASSWORD=$password npm run --silent examples

kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
[ "$code" -eq 0 ] || fail "The server ended with $code, not with 0, when it was told to stop."
echo "ok      the server stopped when it was told to"
