//! Processes orders: claim, prepare, complete, adopt, sweep
