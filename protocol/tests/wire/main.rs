//! What goes over the wire, what is written about it, and what a client makes of it.

mod document;
mod picture;
mod texts;
mod verdicts;
