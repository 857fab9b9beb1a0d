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
fn the_readme_quotes_the_loop_of_the_threads_example() {
    let readme = read("README.md");
    let quoted = block(&readme, "rust", "fn drive(");
    assert!(read("examples/threads/src/main.rs").contains(quoted));
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
