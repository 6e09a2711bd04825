//! Tests the REST interface from outside: a whole gateway on a free port, with an embedded database
//! and bus.

mod documents;
mod heroes;
mod meals;
mod operation;
mod orders;
mod paging;
mod refusals;
mod stack;
