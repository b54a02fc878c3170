//! Profiles.

use async_graphql::{Context, ID, InputObject, Json, MaybeUndefined, Object};
use plimsoll_domain::{
    self as domain, Version,
    profile::{CreateProfile, UpdateProfile},
};

use crate::{
    batch::UserById,
    error::{Result, payload},
    id::decode,
    record::{patch_as_is, record_fields, removal, write},
    user::User,
};

record_fields! {
    #[async_graphql::Object]
    /// What a user tells about themselves.
    Profile(Profile of plimsoll_domain::profile) {
        own {
            /// What they tell about themselves.
            bio: Option<String> = Bio;

            /// Where their picture is.
            avatar_url: Option<String> = AvatarUrl;
        }
        one {
            /// Whose it is; null if they are deleted.
            user: User = UserById(UserId);
        }
        needs {
            metadata: Metadata;
        }
        resolvers {
            /// Whatever a client keeps here: a JSON object.
            async fn metadata(&self) -> Result<Json<serde_json::Value>> {
                Ok(Json(self.get(Column::Metadata)?))
            }
        }
    }
}

/// A new profile.
#[derive(InputObject)]
pub(crate) struct CreateProfileInput {
    /// Whose it is.
    user_id: ID,
    /// What they tell about themselves, 5,000 characters at most.
    bio: Option<String>,
    /// Where their picture is: an http or https URL.
    avatar_url: Option<String>,
    /// Whatever a client wants to keep: a JSON object of 16 KiB at most.
    metadata: Option<Json<serde_json::Value>>,
}

/// What is to change of a profile. An absent field is left alone, and null clears it.
#[derive(InputObject)]
pub(crate) struct UpdateProfileInput {
    /// Which profile.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
    /// What they tell about themselves, 5,000 characters at most.
    bio: MaybeUndefined<String>,
    /// Where their picture is: an http or https URL.
    avatar_url: MaybeUndefined<String>,
    /// Whatever a client wants to keep: a JSON object of 16 KiB at most.
    metadata: MaybeUndefined<Json<serde_json::Value>>,
}

payload! {
    /// The profile that was made, or why there is none.
    CreateProfilePayload {
        /// The new profile.
        profile: Profile
    }
    /// The profile as it is now, or why nothing was changed.
    UpdateProfilePayload {
        /// The changed profile.
        profile: Profile
    }
}

#[derive(async_graphql::MergedObject, Default)]
pub(crate) struct ProfileMutation(ProfileEdit, ProfileRemoval);

#[derive(Default)]
pub(crate) struct ProfileEdit;

#[Object]
impl ProfileEdit {
    /// Makes a user's profile.
    async fn create_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new profile.")] input: CreateProfileInput,
    ) -> Result<Option<CreateProfilePayload>> {
        let command = CreateProfile {
            user: decode(&input.user_id, "input.userId")?,
            bio: input.bio,
            avatar_url: input.avatar_url,
            metadata: input.metadata.map(|Json(value)| value),
        };
        CreateProfilePayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::profile::create(tx, viewer, command))
            })
            .await,
        )
    }

    /// Changes a profile.
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to change.")] input: UpdateProfileInput,
    ) -> Result<Option<UpdateProfilePayload>> {
        let command = UpdateProfile {
            id: decode(&input.id, "input.id")?,
            seen: Version(input.expected_version),
            bio: patch_as_is(input.bio),
            avatar_url: patch_as_is(input.avatar_url),
            metadata: patch_as_is(input.metadata.map_value(|Json(value)| value)),
        };
        UpdateProfilePayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::profile::update(tx, viewer, command))
            })
            .await,
        )
    }
}

removal! {
    profile: Profile, profile, ProfileId,
    delete_profile(DeleteProfileInput, DeleteProfilePayload, "Deletes a profile."),
    restore_profile(RestoreProfileInput, RestoreProfilePayload, "Restores a deleted profile."),
    purge_profile(PurgeProfileInput, PurgeProfilePayload,
        "Removes a deleted profile for good, after the retention time. For administrators."),
    ProfileRemoval, "profile"
}
