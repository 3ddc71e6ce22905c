//! The pages beside the code, so that their examples are compiled and run with the tests.

#[doc = include_str!("../../../README.md")]
mod readme {}

#[doc = include_str!("../../../docs/guide/waiting.md")]
mod waiting {}

#[doc = include_str!("../../../docs/guide/death-and-repair.md")]
mod death_and_repair {}

#[doc = include_str!("../../../docs/guide/spaces.md")]
mod spaces {}

#[doc = include_str!("../../../docs/guide/queues.md")]
mod queues {}

#[doc = include_str!("../../../docs/guide/pipes.md")]
mod pipes {}

#[doc = include_str!("../../../docs/guide/channels-topics-services.md")]
mod channels_topics_services {}

#[cfg(feature = "socket")]
#[doc = include_str!("../../../docs/guide/sockets.md")]
mod sockets {}

#[doc = include_str!("../../../docs/guide/async-and-select.md")]
mod async_and_select {}

#[doc = include_str!("../../../docs/guide/shared-memory.md")]
mod shared_memory {}

#[doc = include_str!("../../../docs/guide/processes.md")]
mod processes {}

#[doc = include_str!("../../../docs/guide/looking-at-a-running-system.md")]
mod looking_at_a_running_system {}
