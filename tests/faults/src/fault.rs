//! The faults that Homeroom must survive.

use std::{fmt, str::FromStr};

/// The target of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// A process of Homeroom, PostgreSQL or Redis.
    Process,
    /// A message in transit.
    Network,
    /// Something else.
    Other,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Process, Self::Network, Self::Other];

    /// Returns the heading of the report.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Process => "Processes",
            Self::Network => "Network",
            Self::Other => "Others",
        }
    }
}

macro_rules! faults {
    ($($fault:ident $name:literal $class:ident $what:literal,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Fault {
            $(#[doc = $what] $fault,)*
        }

        impl Fault {
            /// Every kind, in the order of the report.
            pub(crate) const ALL: &[Self] = &[$(Self::$fault,)*];

            /// Returns its name on the command line and in reports.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$fault => $name,)* }
            }

            /// Returns its target.
            pub(crate) const fn class(self) -> Class {
                match self { $(Self::$fault => Class::$class,)* }
            }

            /// Returns its description.
            pub(crate) const fn what(self) -> &'static str {
                match self { $(Self::$fault => $what,)* }
            }
        }
    };
}

faults! {
    Kill "kill" Process "a service ends at once, as by SIGKILL, before or after one of its commits, sends and receives",
    SigkillAnywhere "sigkill-anywhere" Process "SIGKILL of either service, or of both, at any moment",
    PostgresCrash "postgres-crash" Process "SIGQUIT of the postmaster",
    PostgresPromotion "postgres-promotion" Process "the primary ends at once and its synchronous replica is promoted",
    ReadOnly "read-only" Process "the databases' address leads to a standby for a while, or their new sessions are read-only",
    DiskFull "disk-full" Process "the disk of PostgreSQL's databases is full for a while",
    DiskFullSqlite "disk-full-sqlite" Process "the disk of the SQLite databases is full for a while",
    RedisAway "redis-away" Process "Redis is killed, stands still (SIGSTOP), forgets everything, is replaced by its replica, or they change places",
    RequestLost "request-lost" Network "a request never arrives",
    ReplyLost "reply-lost" Network "a request is carried out and its reply is lost",
    Delayed "delayed" Network "a request or its reply is up to 2.5 s late",
    Repeated "repeated" Network "a request arrives twice, at once or one after the other",
    Late "late" Network "a request arrives after its caller has given up, and after later ones",
    Deadline "deadline" Network "a deadline of 1 to 500 ms",
    Cut "cut" Network "open connections are reset: of callers, between the services, to PostgreSQL or Redis",
    Partition "partition" Network "bytes of one or both directions stand still, or connections are refused",
    ErrorsAtCommits "errors-at-commits" Other "a commit fails, hangs for a while or succeeds unheard",
    ClockSteps "clock-steps" Other "a service's clock steps forward or back",
    PoisonedEvent "poisoned-event" Other "membership's feed holds an event that cannot be followed",
    Overload "overload" Other "ten times the load",
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|fault| fault.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|fault| fault.name()).collect();
            format!("no such fault; there are: {}", names.join(", "))
        })
    }
}
