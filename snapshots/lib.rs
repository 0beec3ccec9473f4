//! Golden conversations recorded from the real nats-server.
