//! Keeps the chains through the host's own programs, for IPv4 and IPv6 at once.
//!
//! Children are started when a network comes or goes and when somebody touched the table, never on the way of a container.

use std::{path::PathBuf, thread};

use hakone_base::BridgeName;
use hakone_netns::Netns;
use hakone_process::{Output, Tool};

use crate::{Error, listing::Listing, script};

/// Where distributions put the programs.
const FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
/// How often to look again when another program was faster.
const ATTEMPTS: usize = 5;

/// The chains of one network namespace.
#[derive(Debug)]
pub struct Chains {
    netns: Netns,
    programs: Vec<Programs>,
}

/// Why the host forwards packets of a family, and so what its policy for those of others has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forward {
    /// Somebody else decided so, or it does not: the policy is theirs.
    #[default]
    AsItIs,
    /// We switched it on: DROP again after a flush, else what the administrator made of it since.
    Ours,
}

/// Which of the two back ends of iptables is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// What the host's administrator chose.
    Default,
    /// The one that keeps its rules in nf_tables.
    Nft,
    /// The one with tables of its own.
    Legacy,
}

impl Variant {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Nft => "-nft",
            Self::Legacy => "-legacy",
        }
    }
}

/// What is done with a family's programs; tells whether anything had to change.
pub(crate) type Work<'a> = dyn Fn(&Programs) -> Result<bool, Error> + Sync + 'a;

/// Gives the input of a restore for what stands in the table of a family, IPv6 or not.
type Decide<'a> = dyn Fn(&Listing<'_>, bool) -> Option<String> + Sync + 'a;

/// The programs of a family.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) ipv6: bool,
    list: PathBuf,
    save: PathBuf,
    restore: PathBuf,
}

impl Chains {
    /// Finds the programs; the chains are those of the calling thread's network namespace.
    ///
    /// # Errors
    /// When the namespace cannot be opened.
    pub fn open(ipv6: bool) -> Result<Self, Error> {
        Self::of(Variant::Default, ipv6)
    }

    /// Finds the programs of one back end, whichever the host's default is.
    ///
    /// # Errors
    /// When the namespace cannot be opened.
    pub fn of(variant: Variant, ipv6: bool) -> Result<Self, Error> {
        let families = [false, true].into_iter().take(1 + usize::from(ipv6));
        Ok(Self {
            netns: Netns::current()?,
            programs: families
                .filter_map(|v6| Programs::find(variant, v6))
                .collect(),
        })
    }

    /// Reports whether the host has the programs at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// Reports whether the rules of every family that was asked for can be kept.
    #[must_use]
    pub fn covers(&self, ipv6: bool) -> bool {
        let saves = |programs: &&Programs| programs.save.exists();
        self.programs.iter().filter(saves).count() == 1 + usize::from(ipv6)
    }

    /// Reports whether the host's programs change rules without the kernel telling anybody, as the legacy ones do.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.programs.iter().any(Programs::is_silent)
    }

    /// Makes what is missing and leads the bridges' packets through it; tells whether anything had to change.
    ///
    /// # Errors
    /// The first refusal; the other family is kept all the same.
    pub fn ensure(&self, bridges: &[BridgeName], forward: [Forward; 2]) -> Result<bool, Error> {
        let [v4, v6] = forward;
        let decide = |listing: &Listing<'_>, ipv6| {
            script::ensure(listing, bridges, if ipv6 { v6 } else { v4 })
        };
        self.both(&|programs| edit(programs, &decide))
    }

    /// Makes DROP the policy for what is forwarded, for IPv6 or IPv4: done before forwarding is switched on, so that nothing
    /// but containers is opened by it.
    ///
    /// # Errors
    /// When the program refuses.
    pub fn close_forward(&self, of_ipv6: bool) -> Result<bool, Error> {
        let close = |listing: &Listing<'_>, ipv6| {
            (ipv6 == of_ipv6).then(|| script::close(listing)).flatten()
        };
        self.both(&|programs| edit(programs, &close))
    }

    /// Takes our own chain away; the administrator's stay.
    ///
    /// # Errors
    /// The first refusal; the other family is cleared all the same.
    pub fn remove(&self) -> Result<bool, Error> {
        self.both(&|programs| edit(programs, &|listing, _| script::remove(listing)))
    }

    /// Works on both families at once, each in the namespace.
    pub(crate) fn both(&self, work: &Work<'_>) -> Result<bool, Error> {
        let outcomes: Vec<_> = thread::scope(|scope| {
            let one = |programs| scope.spawn(move || self.netns.on(|| work(programs))?);
            let running: Vec<_> = self.programs.iter().map(one).collect();
            running.into_iter().map(|thread| thread.join()).collect()
        });
        let mut changed = false;
        for outcome in outcomes.into_iter().flatten() {
            changed |= outcome?;
        }
        Ok(changed)
    }
}

impl Programs {
    fn find(variant: Variant, ipv6: bool) -> Option<Self> {
        let family = if ipv6 { "ip6tables" } else { "iptables" };
        let name = &*format!("{family}{}", variant.suffix());
        let pair = |folder: &&str| Self {
            ipv6,
            list: [folder, name].iter().collect(),
            save: [folder, &*format!("{name}-save")].iter().collect(),
            restore: [folder, &*format!("{name}-restore")].iter().collect(),
        };
        let mut pairs = FOLDERS.iter().map(pair);
        pairs.find(|pair| pair.list.exists() && pair.restore.exists())
    }
}

/// Looks into the table `filter`, decides and restores in one transaction.
fn edit(programs: &Programs, decide: &Decide<'_>) -> Result<bool, Error> {
    let list = Tool::new(&programs.list)?.arguments(["-w", "-S"]);
    programs.restore(&list, &|text| decide(&Listing::parse(text), programs.ipv6))
}

impl Programs {
    /// Looks into all tables, decides and restores, each table in one transaction.
    pub(crate) fn edit_all(&self, decide: &dyn Fn(&str) -> Option<String>) -> Result<bool, Error> {
        self.restore(&Tool::new(&self.save)?, decide)
    }

    /// Looks again when the transaction no longer fits what stands.
    fn restore(&self, look: &Tool, decide: &dyn Fn(&str) -> Option<String>) -> Result<bool, Error> {
        let mut refusal = None;
        for _ in 0..ATTEMPTS {
            let text = String::from_utf8_lossy(&succeed(look)?.stdout).into_owned();
            let Some(script) = decide(&text) else {
                return Ok(refusal.is_some());
            };
            let restore = Tool::new(&self.restore)?.arguments(["-w", "--noflush"]);
            match succeed(&restore.input(script)) {
                Ok(_) => return Ok(true),
                Err(error) => refusal = Some(error),
            }
        }
        refusal.map_or(Ok(false), Err)
    }

    /// Reports whether the programs keep their rules where nobody is told of changes.
    fn is_silent(&self) -> bool {
        let version = Tool::new(&self.list).map(|list| list.arguments(["-V"]));
        let version = version.and_then(|list| list.run());
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("legacy"))
    }
}

fn succeed(tool: &Tool) -> Result<Output, Error> {
    let output = tool.run()?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Error::Refused {
        program: tool.program().display().to_string(),
        complaint: output.complaint(),
    })
}
