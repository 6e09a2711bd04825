//! End-to-end tests: real processes, real PostgreSQL and Redis
