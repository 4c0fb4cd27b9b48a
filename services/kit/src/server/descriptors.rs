//! The limit of open files, which includes each connection.

use std::sync::Once;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of files reserved for other uses than callers' connections: databases, Redis, the
/// other service, logs.
pub const FILES_RESERVED: usize = 512;

/// Raises the limit of open files to the maximum that the system allows this process: most systems
/// begin with 1,024, far below the connections of a server. Returns how many connections there is
/// room for, at most `connections_max` and at least one.
pub(super) fn room_for(connections_max: usize) -> usize {
    static RAISED: Once = Once::new();
    RAISED.call_once(|| {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit on open files could not be raised");
        }
    });
    let files = getrlimit(Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    });
    let room = files.saturating_sub(FILES_RESERVED).max(1);
    if room < connections_max {
        tracing::warn!(
            room,
            connections_max,
            "fewer connections than configured: raise the limit on open files (ulimit -n)"
        );
    }
    connections_max.min(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_as_many_connections_as_files_may_be_open() {
        assert_eq!(room_for(1), 1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        if let Some(files) = limit.current {
            let room = room_for(usize::MAX);
            let files = usize::try_from(files).unwrap();
            assert_eq!(room, files.saturating_sub(FILES_RESERVED).max(1));
        }
    }
}
