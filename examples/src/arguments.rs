//! What a program was told on its command line.

use clap::Parser;

/// The program's arguments. Wrong ones end it: what is wrong and the usage on standard error,
/// exit status 2. `--help` and `--version` end it with what they ask for and status 0.
pub fn arguments<T: Parser>() -> T {
    T::try_parse().unwrap_or_else(|error| {
        // Not every kind of mistake is answered with the usage by itself.
        if error.use_stderr() && !error.to_string().contains("Usage") {
            eprintln!("{}\n", T::command().render_usage());
        }
        error.exit()
    })
}

/// Ends a program whose arguments have their place and no name if the first one asks for help: what
/// it takes on standard output, exit status 0.
pub fn help(usage: &str) {
    if std::env::args().nth(1).is_some_and(|first| ["--help", "-h"].contains(&&*first)) {
        println!("Usage: {usage}");
        std::process::exit(0);
    }
}
