//! Crates that depend on the core: programs compiled in a package of their own, some of which must be refused with a
//! clear error.

use core::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package of programs that use the core.
struct Package {
    path: PathBuf,
    name: &'static str,
}

/// The first lines of every program.
const PRELUDE: &str = "
    #![allow(unused)]
    use synod::machines::Kv;
    use synod::{Config, Duration, Envelope, Instant, Message, Node, NodeId, NodeSet, Outbox, Ram, Slot};
    type M = Kv<4>;
";

impl Package {
    /// Creates a package with these programs, each a name and its source.
    fn new(name: &'static str, programs: &[(&str, &str)]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let bin = path.join("src/bin");
        let _ = fs::remove_dir_all(&bin);
        fs::create_dir_all(&bin).unwrap();
        let mut manifest = format!(
            "[package]\nname = '{name}'\nedition = '2024'\n[workspace]\n[features]\nmutants = ['synod/mutants']\n"
        );
        let core = root.join("core").canonicalize().unwrap();
        writeln!(
            manifest,
            "[dependencies]\nsynod = {{ path = '{}' }}",
            core.display()
        )
        .unwrap();
        fs::write(path.join("Cargo.toml"), manifest).unwrap();
        // The same lock file, so that cargo resolves nothing anew.
        fs::copy(root.join("Cargo.lock"), path.join("Cargo.lock")).unwrap();
        for (program, source) in programs {
            fs::write(
                bin.join(format!("{program}.rs")),
                format!("{PRELUDE}{source}"),
            )
            .unwrap();
        }
        Self { path, name }
    }

    /// Runs a command of cargo; returns true if it succeeded, with all that it printed. The network is used only for
    /// packages that were never fetched.
    fn cargo(&self, arguments: &[&str]) -> (bool, String) {
        let run = |offline: &[&str]| {
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
            cargo
                .args(arguments)
                .args(offline)
                .args(["--keep-going", "--color", "never", "--target-dir"])
                .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("linked"))
                .current_dir(&self.path);
            let output = cargo.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.success(), said)
        };
        let (done, said) = run(&["--offline"]);
        if done || !said.contains("--offline") {
            return (done, said);
        }
        run(&[])
    }

    /// Asserts that only this program fails to compile, because of a failed assertion in a constant with these words.
    fn is_refused(&self, said: &str, program: &str, words: &str) {
        let package = self.name;
        assert!(
            said.contains(&format!(
                "could not compile `{package}` (bin \"{program}\")"
            )),
            "{program} compiles: {said}"
        );
        let errors = said.lines().filter(|line| line.starts_with("error["));
        for error in errors {
            assert!(error.starts_with("error[E0080]"), "{program}: {said}");
        }
        assert!(said.contains(words), "{program}: {said}");
    }
}

/// A state machine whose pages are longer than any page of a snapshot.
const LARGE: &str = "
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    struct Large;
    impl synod::StateMachine for Large {
        type Command = ();
        type Output = ();
        const PAGE_BYTES: usize = 91;
        fn apply(&mut self, _: &()) {}
        fn snapshot_pages(&self) -> u32 { 0 }
        fn write_page(&self, _: u32, _: &mut synod::Writer<'_>) {}
        fn read_page(&mut self, _: u32, _: &mut synod::Reader<'_>) -> Result<(), synod::MalformedPage> { Ok(()) }
    }";

#[test]
fn cargo_check_reports_a_capacity_out_of_bounds() {
    // The outbox of a driver, and a table of sizes.
    let named = |node: &str| {
        format!(
            "type Member = {node};
             fn main() {{ let outbox = Outbox::<M, 2, {{ Member::OUTBOX_MIN }}>::new(); }}"
        )
    };
    let refused = [
        (
            "window_of_three",
            named("Node<M, 3, 8, 2>"),
            "WINDOW must be a power of two from 2 to 4096",
        ),
        (
            "window_of_8192",
            named("Node<M, 8192, 8, 2>"),
            "WINDOW must be a power of two from 2 to 4096",
        ),
        (
            "no_clients",
            named("Node<M, 16, 0, 2>"),
            "CLIENTS must be from 1 to 65535",
        ),
        (
            "no_page",
            named("Node<M, 16, 8, 0>"),
            "PAGE must be from 1 to 128",
        ),
        (
            "page_bytes",
            format!("{LARGE} const _: () = Node::<Large, 16, 8, 2>::FITS; fn main() {{}}"),
            "PAGE_BYTES of the state machine must be from 28 to SNAPSHOT_PAGE, which is 90",
        ),
        (
            "ram",
            "const RAM: Ram = Ram::of::<M, 16, 8, 129>(); fn main() {}".to_owned(),
            "PAGE must be from 1 to 128",
        ),
        (
            "room_in_a_constant",
            "const _: () = assert!(29 >= Node::<M, 16, 8, 2>::OUTBOX_MIN); fn main() {}".to_owned(),
            "assertion failed: 29 >= Node::<M, 16, 8, 2>::OUTBOX_MIN",
        ),
    ];
    let sound = named("Node<M, 4096, 65535, 128>");
    let mut programs = vec![("sound", sound.as_str())];
    programs.extend(
        refused
            .iter()
            .map(|(name, source, _)| (*name, source.as_str())),
    );
    let package = Package::new("checked", &programs);
    let (compiled, said) = package.cargo(&["check"]);
    assert!(!compiled && !said.contains("(bin \"sound\")"), "{said}");
    for (program, _, words) in &refused {
        package.is_refused(&said, program, words);
    }
}

#[test]
fn n4_an_outbox_without_room_for_a_step_does_not_compile() {
    let calls = [
        (
            "handle_message",
            "node.handle_message(now, &envelope, &mut outbox, &mut ());",
        ),
        (
            "handle_timeout",
            "node.handle_timeout(now, &mut outbox, &mut ());",
        ),
        ("register", "node.register(now, 7, &mut outbox, &mut ());"),
        (
            "request",
            "node.request(now, synod::ClientId(1), synod::RequestNumber(1), command, &mut outbox, &mut ());",
        ),
        (
            "ask",
            "node.ask(now, synod::Proposal::Noop, &mut outbox, &mut ());",
        ),
        ("fence", "node.fence(now, &mut outbox, &mut ());"),
        (
            "fire",
            "node.fire(synod::Timer::Join, 0, &mut outbox, &mut ());",
        ),
    ];
    let program = |room: usize, call: &str| {
        format!(
            "fn main() {{
                let now = Instant::ZERO;
                let mut node = Node::<M, 16, 8, 2>::found(Config::new(NodeId(0), 1), 6, now).unwrap();
                let mut outbox = Outbox::<M, 2, {room}>::new();
                let command = synod::machines::KvCommand::Get(synod::machines::Key::new(\"A\").unwrap());
                let message = Message::<M, 2>::Learn {{ from: Slot::ZERO }};
                let envelope = Envelope {{ cluster: 0, from: NodeId(0), to: NodeId(0), message }};
                {call}
            }}"
        )
    };
    let small = calls.map(|(name, call)| (name, program(29, call)));
    let all: String = calls.iter().map(|(_, call)| *call).collect();
    let enough = program(30, &all);
    let mut programs: Vec<_> = small
        .iter()
        .map(|(name, source)| (*name, source.as_str()))
        .collect();
    programs.push(("enough", &enough));
    let package = Package::new("built", &programs);
    let (compiled, said) = package.cargo(&["build"]);
    assert!(!compiled);
    assert!(!said.contains("(bin \"enough\")"), "{said}");
    for (name, _) in calls {
        let words = "ROOM of the outbox must be at least OUTBOX_MIN of the node, which is 30";
        package.is_refused(&said, name, words);
    }
}

#[test]
fn a_struct_literal_of_the_settings_compiles_with_and_without_mutants() {
    let literal = "
        fn main() {
            let config = Config {
                node: NodeId(0),
                members: NodeSet::first(3),
                founder: NodeId(0),
                cluster: 6,
                heartbeat: Duration::from_millis(10),
                election_timeout: Duration::from_millis(50),
                prepare_retransmit: Duration::from_millis(15),
                accept_retransmit: Duration::from_millis(15),
                propose_retransmit: Duration::from_millis(30),
                request_retransmit: Duration::from_millis(60),
                join_retransmit: Duration::from_millis(15),
                learn_delay: Duration::from_millis(5),
                transfer_timeout: Duration::from_millis(200),
                backoff_doublings_max: 4,
            };
            let _ = Node::<M>::join(config, 6, Instant::ZERO);
        }";
    let package = Package::new("literal", &[("literal", literal)]);
    for features in [&[][..], &["--features", "mutants"]] {
        let arguments = [&["check"][..], features].concat();
        let (compiled, said) = package.cargo(&arguments);
        assert!(compiled, "{features:?}: {said}");
    }
}
