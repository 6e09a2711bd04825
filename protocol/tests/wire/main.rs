//! What goes over the wire, what is written about it, and what a client makes of it.

mod document;
mod told_histories;
mod verdicts;
mod wire_texts;
