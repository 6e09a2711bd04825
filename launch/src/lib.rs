//! How a program of Galley starts and stops: logs, signals, exit codes, waiting for what it depends on
