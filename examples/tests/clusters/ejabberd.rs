//! Two nodes of ejabberd: version 5, QoS 2.

use core::net::SocketAddr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mqtt_client::{QoS, Version};

use crate::cluster::Cluster;
use crate::program::free_address;
use crate::scenarios;

/// What both nodes are told.
fn config(mqtt: SocketAddr) -> String {
    format!(
        "hosts: [localhost]\n\
         loglevel: warning\n\
         auth_method: anonymous\n\
         anonymous_protocol: login_anon\n\
         allow_multiple_connections: true\n\
         listen:\n  \
           - port: {}\n    ip: \"{}\"\n    module: mod_mqtt\n    backlog: 100\n\
         modules:\n  \
           mod_mqtt:\n    \
             access_publish:\n      \"#\":\n        - allow\n    \
             access_subscribe:\n      \"#\":\n        - allow\n    \
             max_queue: 20000\n    \
             session_expiry: 10 minutes\n",
        mqtt.port(),
        mqtt.ip()
    )
}

/// The command for an Erlang node of this name, which can find others by the port mapper at `epmd`.
fn erl(folder: &Path, epmd: SocketAddr, name: &str) -> Command {
    let mut command = Command::new("erl");
    command
        .current_dir(folder)
        .env("HOME", folder) // the cookie is there
        .env("ERL_EPMD_ADDRESS", epmd.ip().to_string())
        .env("ERL_EPMD_PORT", epmd.port().to_string())
        .args(["-noinput", "-name", &format!("{name}@127.0.0.1"), "-setcookie", "lab"])
        .args(["-start_epmd", "false", "-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
    command
}

/// Where Debian keeps it: in a folder whose name begins with that of the machine.
fn libraries() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("it is there").filter_map(Result::ok);
    let mut folders = folders.map(|folder| folder.path());
    let has_ejabberd = |folder: &PathBuf| {
        fs::read_dir(folder).is_ok_and(|mut files| {
            files.any(|f| f.is_ok_and(|f| f.file_name().to_string_lossy().starts_with("ejabberd-")))
        })
    };
    folders.find(has_ejabberd).expect("ejabberd is installed")
}

const JOIN: &str = "
    Wait = fun Wait() ->
        case rpc:call('a@127.0.0.1', ejabberd_cluster, get_nodes, []) of
            [_ | _] -> ok;
            _ -> timer:sleep(200), Wait()
        end
    end,
    Wait(),
    ejabberd_cluster_mnesia:join('a@127.0.0.1'),
    ejabberd:start().";

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(Version::V5, QoS::ExactlyOnce);
    cluster.user = Some("device@localhost");
    let folder = cluster.folder().to_owned();
    let epmd = free_address();
    let mut mapper = Command::new("epmd");
    mapper.args(["-address", &epmd.ip().to_string(), "-port", &epmd.port().to_string()]);
    cluster.help(mapper);
    for (n, name) in ["a", "b"].into_iter().enumerate() {
        let mqtt = free_address();
        let file = folder.join(format!("{name}.yml"));
        fs::write(&file, config(mqtt)).expect("the folder can be written");
        let mut command = erl(&folder, epmd, name);
        let spool = folder.join(name);
        fs::create_dir(&spool).expect("the folder can be written");
        command
            .env("EJABBERD_CONFIG_PATH", file)
            .env("EJABBERD_LOG_PATH", spool.join("log"))
            .env("ERL_LIBS", libraries())
            .args(["-mnesia", "dir", &format!("{spool:?}")]);
        if n == 0 {
            command.args(["-s", "ejabberd"]);
        } else {
            // Once the first is there, this one joins it, and only then listens.
            command.args(["-eval", JOIN]);
        }
        cluster.add(name, mqtt, command);
    }
    cluster
}

#[test]
fn what_one_node_of_ejabberd_takes_every_other_delivers() {
    scenarios::run(cluster, async |cluster| {
        scenarios::crosses_nodes(cluster).await;
        scenarios::session_moves(cluster).await;
        assert!(!scenarios::retained_crosses(cluster).await, "so the table in CLUSTERS.md says");
    });
}

/// Sessions are with the node that serves them: this one is lost. The client is told which messages
/// that leaves in doubt, and of all others each arrives once.
#[test]
fn the_node_of_an_ejabberd_publisher_is_killed_and_nothing_is_lost_that_was_acknowledged() {
    scenarios::run(cluster, async |cluster| {
        let outcome = scenarios::kill_under_load(cluster, 0, 1, 0).await;
        assert!(outcome.lost == 0 && outcome.duplicated == 0, "{outcome:?}");
        assert!(!outcome.resumed, "so the table in CLUSTERS.md says");
    });
}

/// With the session what waited in it is lost, and what is published until the client has subscribed
/// again at the other node.
#[test]
fn the_node_of_an_ejabberd_subscriber_is_killed_and_the_client_goes_on_at_the_other() {
    scenarios::run(cluster, async |cluster| {
        let outcome = scenarios::kill_under_load(cluster, 0, 1, 1).await;
        assert!(outcome.duplicated == 0, "{outcome:?}");
        assert!(!outcome.resumed, "so the table in CLUSTERS.md says");
    });
}
