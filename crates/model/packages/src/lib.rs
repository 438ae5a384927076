//! What is installed in a tree of files: package databases, read and printed as a bill of materials.
//!
//! Pure: whoever walks a tree asks [`wanted`] which files matter, hands them over as [`Databases`], and gets an [`Inventory`].
//! The files come from an image and are hostile: sizes, counts and lengths have limits, nothing of them is run, and a database
//! that cannot be read is named in the inventory instead of being passed over.

mod apk;
mod databases;
mod dpkg;
mod inventory;
mod purl;
mod release;
mod spdx;
mod stanza;

pub use databases::{Databases, LARGEST, wanted};
pub use inventory::{Inventory, Package, Source, System};
pub use spdx::{Document, PREDICATE};
