//! What lies between sockets and MQTT, seen from clients that nobody here wrote, and the program
//! `broker` as an operator meets it.

pub(crate) mod certificates;
mod clients;
mod hostile;
mod operator;
mod program;
