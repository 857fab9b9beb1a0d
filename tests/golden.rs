//! The golden log of a small cluster: a whole run that people can read, compared byte for byte.

use synod::MessageKind;
use synod_host::log::{Filter, Format, Log, Output, Text};
use synod_host::summary::Summary;
use synod_host::{Options, run};

/// Returns the options of the golden run: three nodes, and one client with three requests.
fn small() -> Options {
    let mut options = Options::new(6);
    options.nodes = 3;
    options.clients = 1;
    options.requests = 3;
    options
}

fn log_of(options: &Options) -> String {
    let mut output = Output::new(Vec::new());
    let mut log = Log::new(Format::Text(Text::plain()), Filter::default(), &mut output);
    let finished = run(options, &mut log).unwrap();
    let summary = Summary {
        run_seed: options.run_seed,
        command: &options.command(),
        finished: &finished,
        verified: None,
    };
    output.append(|out| {
        out.push(b'\n');
        summary.text(out);
    });
    String::from_utf8(output.finish().unwrap()).unwrap()
}

/// The environment variable `UPDATE_GOLDEN=1` rewrites the file; read the difference before it is committed.
#[test]
fn the_log_of_three_nodes_is_the_golden_one() {
    let found = log_of(&small());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/three-nodes.log");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    let differs = golden.lines().zip(found.lines()).position(|(a, b)| a != b);
    assert_eq!(
        differs, None,
        "the first line that differs, from 0; see what UPDATE_GOLDEN=1 makes of it"
    );
    assert_eq!(golden.len(), found.len(), "one of them is longer");
}

#[test]
fn two_runs_write_the_same_bytes() {
    let mut options = Options::new(7);
    options.loss_ppm = 200_000;
    assert_eq!(log_of(&options), log_of(&options));
}

#[test]
fn every_role_and_message_kind_occurs_in_the_default_run() {
    let log = log_of(&Options::new(6));
    let says = |word: &str| assert!(log.contains(word), "nothing of {word}");
    for role in [
        "Acceptor",
        "Replica",
        "Leader",
        "Scout",
        "Commander",
        "Requester",
        "Seed",
        "Initializer",
    ] {
        says(&format!(".{role} "));
    }
    // Nothing is superseded as long as the members stay, see `membership`; and here every read goes through the log.
    let spoken = |kind: &MessageKind| {
        !matches!(
            kind,
            MessageKind::Superseded
                | MessageKind::Confirm
                | MessageKind::Confirmed
                | MessageKind::ReadIndex
                | MessageKind::ReadIndexReply
        )
    };
    for kind in MessageKind::ALL.into_iter().filter(spoken) {
        says(&format!(" sent {}(", kind.name()));
        says(&format!(" received {}(", kind.name()));
    }
    assert!(log.contains("requests    121 of 121 answered, 121 right"));
    assert!(log.contains("nodes       14 of 14 live, 14 joined"));
}
