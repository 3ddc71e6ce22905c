//! How keys, values and items become bytes: MessagePack with field names.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{AccessError, UpdateError};

pub(super) fn key<K: Serialize>(key: &K) -> Result<Vec<u8>, AccessError> {
    rmp_serde::to_vec_named(key).map_err(|why| AccessError::Encode(why.to_string()))
}

pub(super) fn value<V: Serialize>(value: &V) -> Result<Vec<u8>, UpdateError> {
    rmp_serde::to_vec_named(value).map_err(|why| UpdateError::Encode(why.to_string()))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AccessError> {
    rmp_serde::from_slice(bytes).map_err(|why| AccessError::Decode(why.to_string()))
}
