//! Checks of the documents against the source: quoted code, cited rules, and a test for each rule.

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Returns the first code block of a language that contains some text.
fn block<'a>(document: &'a str, language: &str, contains: &str) -> &'a str {
    let fence = format!("```{language}\n");
    document
        .split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.contains(contains))
        .unwrap()
}

#[test]
fn the_guide_quotes_the_loop_of_the_threads_example() {
    let chapter = read("core/guide/link.md");
    let quoted = block(&chapter, "rust", "fn drive(");
    let (_, body) = quoted.split_once("fn drive(").unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let example = read("examples/threads/src/main.rs");
    assert!(example.contains(&format!("fn drive({body}\n}}\n")));
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(
        lines <= 180,
        "{lines} lines: longer texts belong into the guide"
    );
}

#[test]
fn every_chapter_of_the_guide_is_in_its_index_and_in_the_library() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/guide");
    let (index, module) = (read("core/guide/README.md"), read("core/src/guide.rs"));
    let links = read("core/guide/rustdoc-links.txt");
    let mut chapters = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
            continue;
        };
        if path.extension().is_none_or(|extension| extension != "md") || name == "README" {
            continue;
        }
        chapters += 1;
        let row = index
            .lines()
            .find(|line| line.ends_with('|') && line.contains(&format!("][{name}] |")));
        assert!(row.is_some(), "the index has no row for {name}");
        assert!(
            index.contains(&format!("\n[{name}]: {name}.md\n")),
            "{name}"
        );
        assert!(
            module.contains(&format!("guide/{name}.md\")]\npub mod {name} {{}}")),
            "{name}"
        );
        assert!(
            links.contains(&format!("[{name}]: crate::guide::{name}\n")),
            "{name}"
        );
    }
    assert_eq!(chapters, 10);
}

/// The documents that people read in the repository, with the folder of each.
fn documents() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![
        root.join("core/guide"),
        root.join("core/museum"),
        root.join("core"),
    ];
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        folders.push(entry.unwrap().path());
    }
    folders.push(root.clone());
    let mut documents = Vec::new();
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let path = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                documents.push((path.clone(), read(&path)));
            }
        }
    }
    documents
}

/// A document without what stands between backticks or fences, and in comments.
fn prose(document: &str) -> String {
    let mut prose = String::new();
    let mut fenced = false;
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// The heading as the end of a link to it.
fn anchor(heading: &str) -> String {
    let lower = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = lower
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut links = 0;
    for (path, text) in documents() {
        let prose = prose(&text);
        let inline = prose
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let defined = prose
            .lines()
            .filter_map(|line| line.strip_prefix('[')?.split_once("]: ").map(|(_, to)| to));
        for link in inline.chain(defined) {
            if link.starts_with("http") || link.contains("::") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = root.join(&path);
            let target = match file {
                "" => folder,
                _ => folder.parent().unwrap().join(file),
            };
            assert!(
                target.exists(),
                "{path} links to {link}, which is not there"
            );
            if !heading.is_empty() {
                let there = std::fs::read_to_string(&target).unwrap();
                let found = there
                    .lines()
                    .any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(found, "{path} links to {link}, which has no such heading");
            }
            links += 1;
        }
    }
    assert!(links > 100, "{links} links");
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["core/", "host/", "tests/", "examples/", ".ci/", ".cargo/"];
    let mut paths = 0;
    for (document, text) in documents() {
        // What changed is what was.
        if document == "CHANGELOG.md" {
            continue;
        }
        for span in prose(&text).split('`').skip(1).step_by(2) {
            if folders.iter().any(|folder| span.starts_with(folder)) && !span.contains(' ') {
                assert!(
                    root.join(span).exists(),
                    "{document} names {span}, which is not there"
                );
                paths += 1;
            }
        }
    }
    assert!(paths > 100, "{paths} paths");
}

#[test]
fn every_label_of_a_link_is_defined_for_a_forge() {
    for (path, text) in documents() {
        let prose = prose(&text);
        let is_defined = |label: &str| {
            prose
                .lines()
                .any(|line| line.starts_with(&format!("[{label}]: ")))
        };
        for (before, rest) in prose.match_indices('[').map(|(at, _)| prose.split_at(at)) {
            let Some((label, after)) = rest.get(1..).and_then(|rest| rest.split_once(']')) else {
                continue;
            };
            let is_code = before
                .rsplit('\n')
                .next()
                .unwrap_or_default()
                .matches('`')
                .count()
                % 2
                == 1;
            let is_definition =
                (before.is_empty() || before.ends_with('\n')) && after.starts_with(": ");
            if is_code || is_definition || after.starts_with(['(', '[']) {
                continue;
            }
            // What is left is a shortcut such as [`Node`], the label of [text][label], or no link.
            let is_link = label.starts_with('`') || before.ends_with(']');
            assert!(
                !is_link || is_defined(label),
                "{path} does not define [{label}]"
            );
        }
    }
}

#[test]
fn every_rule_cited_in_the_core_is_in_the_rules() {
    let rules = read("core/RULES.md");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
    let files = files_below(&source);
    assert!(files.len() > 40, "the whole core is looked at");
    for cited in files.iter().flat_map(|file| cited_in(file)) {
        assert!(
            rules.contains(&format!("**{cited}**")),
            "rule {cited} is cited and not written down"
        );
    }
}

#[test]
fn every_rule_has_a_test_named_after_it() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = files_below(&here.join("../core/src"));
    for entry in std::fs::read_dir(here).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(std::fs::read_to_string(path).unwrap());
        }
    }
    let rules = read("core/RULES.md");
    let named = rules
        .lines()
        .filter_map(|line| line.strip_prefix("- **")?.split_once("**"));
    let mut count = 0;
    for (rule, _) in named {
        let test = format!("fn {}_", rule.to_lowercase());
        assert!(
            files.iter().any(|file| file.contains(&test)),
            "no test shows rule {rule}"
        );
        count += 1;
    }
    assert!(count >= 40, "{count} rules");
}

/// Returns the contents of all files of a folder and its subfolders.
fn files_below(folder: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(std::fs::read_to_string(path).unwrap());
        }
    }
    files
}

/// Returns the ids in `rule A1`, `Rules A1 and A2` and `(rule A1)`: a letter and a digit.
fn cited_in(file: &str) -> Vec<String> {
    let mut cited = Vec::new();
    for line in file.lines() {
        // The end of `rule`, `Rule` or `Rules`.
        let Some((_, rest)) = line.split_once("ule") else {
            continue;
        };
        for word in rest.split(|letter: char| !letter.is_ascii_alphanumeric()) {
            let bytes = word.as_bytes();
            if let [letter, digit] = bytes
                && b"NASLCRTXJFDVQ".contains(letter)
                && digit.is_ascii_digit()
            {
                cited.push(word.to_owned());
            }
        }
    }
    cited
}
