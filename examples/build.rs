//! Takes programs out of READMEs, for a test to run them as they are but for the server's address.

use std::path::Path;
use std::{env, fs};

const URL: &str = "\"mqtt://localhost?version=5&client_id=kitchen\"";
const HEAD: &str = "async fn kitchen() ->";

fn main() {
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    for (readme, name) in [("../mqtt-client/README.md", "client"), ("../README.md", "root")] {
        println!("cargo::rerun-if-changed={readme}");
        let text = fs::read_to_string(readme).expect("it is there");
        let blocks = text.split("\n```").skip(1).step_by(2);
        let block = blocks.into_iter().find(|block| block.contains(HEAD));
        let (_, program) = block.and_then(|block| block.split_once('\n')).expect("a program");
        assert_eq!(program.matches(URL).count(), 1, "{readme}: {URL}");
        let program = program.replace(HEAD, "pub(super) async fn kitchen(url: &str) ->");
        let file = Path::new(&out).join(format!("readme_{name}.rs"));
        fs::write(file, program.replace(URL, "url")).expect("it can be written");
    }
}
