// The text of the guide is in `core/guide`, where a forge shows it as well. A link in it has a label, such as `[storage]`.
// Each file defines its labels at the end for a forge, and `rustdoc-links.txt` defines all of them for rustdoc. In Markdown
// the first definition of a label counts, so the latter stand above the text. An example that fails is named by its module, and
// its line is counted from the first of these definitions.
#![doc = include_str!("../guide/rustdoc-links.txt")]
#![doc = include_str!("../guide/README.md")]

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/run.md")]
pub mod run {}

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/player.md")]
pub mod player {}

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/link.md")]
pub mod link {}

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/machine.md")]
pub mod machine {}

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/storage.md")]
pub mod storage {}

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/server.md")]
pub mod server {}

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/faults.md")]
pub mod faults {}

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/checking.md")]
pub mod checking {}

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/costs.md")]
pub mod costs {}

#[doc = include_str!("../guide/rustdoc-links.txt")]
#[doc = include_str!("../guide/design.md")]
pub mod design {}
