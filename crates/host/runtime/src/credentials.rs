//! From the rights of the daemon to those of the program: limits, folder, user, capabilities, seccomp, `execve`.
//!
//! The order is the point. What needs rights comes first; the filter comes last, except that without
//! `no_new_privs` loading it needs `CAP_SYS_ADMIN` and so comes before the capabilities go.

use std::{
    ffi::CString,
    fs::File,
    io::Read as _,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use hakone_mount::Root;
use hakone_spec::{ResolvedUser, user};
use hakone_sys::{Program, close_from, load_filter};
use oci_spec::runtime::LinuxCapabilities;
use rustix::{
    fs::Mode,
    io::Errno,
    process::{Gid, Uid, fchdir, getcwd, umask},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
        configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
        set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    },
};

use crate::{
    StartError, capability,
    channel::Channel,
    child,
    child::Never,
    environment, executable, limit,
    process::{Order, User},
    stdio,
};

/// A process that only has to give its rights away and become the program.
#[derive(Debug)]
pub(crate) struct Ready {
    order: Order,
    user: ResolvedUser,
}

/// Does what needs rights, inside the container's root.
pub(crate) fn prepare(mut order: Order) -> Result<(Ready, Vec<String>), StartError> {
    let root = Root::open(Path::new("/")).map_err(StartError::of)?;
    let user = resolve(&root, &order.user)?;
    order.environment = environment::with_home(order.environment, &user.home);
    let warnings = limit::apply(&order.limits)?;
    stdio::give_to(user.uid)?;
    umask(Mode::from_raw_mode(order.umask));
    enter_folder(&root, &order)?;
    Ok((Ready { order, user }, warnings))
}

const LARGEST_FILE: u64 = 1 << 20;

/// Looks the user up in the files of the image, which are hostile: regular, bounded, never outside.
fn resolve(root: &Root, user: &User) -> Result<ResolvedUser, StartError> {
    let passwd = read(root, "/etc/passwd")?;
    match user {
        User::Words { user, groups } => {
            let group = read(root, "/etc/group")?;
            user::resolve(&passwd, &group, user, groups).map_err(StartError::of)
        }
        User::Numbers {
            uid,
            gid,
            additional,
        } => {
            let known = user::resolve(&passwd, "", &uid.to_string(), &[]);
            Ok(ResolvedUser {
                uid: *uid,
                gid: *gid,
                additional_gids: additional.clone(),
                home: known.map_or_else(|_unknown| "/".into(), |known| known.home),
            })
        }
    }
}

fn read(root: &Root, path: &str) -> Result<String, StartError> {
    let file = match root.read_file(Path::new(path)) {
        Ok(file) => file,
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NOTDIR)) => {
            return Ok(String::new());
        }
        Err(error) => return Err(StartError::of(error)),
    };
    let mut bytes = Vec::new();
    let read = File::from(file).take(LARGEST_FILE).read_to_end(&mut bytes);
    read.map_err(StartError::of)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Goes to the working folder, which is made first where the order says so, by descriptor and never through `/proc/self/fd`
/// (CVE-2024-21626).
fn enter_folder(root: &Root, order: &Order) -> Result<(), StartError> {
    let folder = &order.folder;
    let failed = |reason: String| {
        let folder = folder.display().to_string();
        StartError::Other(format!(
            "chdir to cwd ({folder:?}) set in config.json failed: {reason}"
        ))
    };
    let opened: OwnedFd = match order.make_folder {
        true => root.ensure_folder(folder),
        false => root.resolve(folder),
    }
    .map_err(|error| failed(error.errno().map_or(error.to_string(), hakone_sys::reason)))?;
    fchdir(opened.as_fd()).map_err(|errno| failed(hakone_sys::reason(errno)))?;
    stay_inside()
}

/// The kernel writes `(unreachable)` before a folder that is outside of the root.
fn stay_inside() -> Result<(), StartError> {
    match getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().starts_with(b"/") => Ok(()),
        Ok(_) | Err(_) => Err(StartError::of(
            "current working directory is outside of container mount namespace root -- possible container breakout detected",
        )),
    }
}

impl Ready {
    /// Gives the rights away and becomes the program.
    pub(crate) fn execute(mut self, channel: &Channel) -> Never {
        self.confine(channel)?;
        self.become_program()
    }

    /// Gives the rights away. What is open stays open until the program starts. The parent gets the filter's listener.
    pub(crate) fn confine(&mut self, channel: &Channel) -> Result<(), StartError> {
        close_from(3).map_err(StartError::step("close descriptors"))?;
        let filter = self.order.seccomp.take();
        let listener = if self.order.no_new_privileges {
            set_no_new_privs(true).map_err(StartError::step("set no_new_privs"))?;
            self.give_rights_away()?;
            load(filter)?
        } else {
            let listener = load(filter)?;
            self.give_rights_away()?;
            listener
        };
        listener.map_or(Ok(()), |listener| child::give_listener(channel, listener))?;
        // Both were undone by the change of ids.
        child::hide()
    }

    fn give_rights_away(&self) -> Result<(), StartError> {
        if let Some(wanted) = &self.order.capabilities {
            drop_bounding(wanted)?;
        }
        set_keep_capabilities(true).map_err(StartError::step("keep capabilities"))?;
        self.become_user()
            .map_err(StartError::step("setuid user"))?;
        set_keep_capabilities(false).map_err(StartError::step("keep capabilities"))?;
        if let Some(wanted) = &self.order.capabilities {
            restrict(wanted).map_err(StartError::step("apply caps"))?;
        }
        Ok(())
    }

    fn become_user(&self) -> Result<(), Errno> {
        let groups: Vec<Gid> = self
            .user
            .additional_gids
            .iter()
            .copied()
            .map(Gid::from_raw)
            .collect();
        let (uid, gid) = (Uid::from_raw(self.user.uid), Gid::from_raw(self.user.gid));
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)
    }

    /// Becomes the program: all that is left after [`confine`](Self::confine).
    pub(crate) fn become_program(self) -> Never {
        let name = self.order.arguments.first().map_or("", String::as_str);
        let path = executable::find(name, &self.order.environment)?;
        // The user may not search the folder, or it was moved: look again with its eyes.
        stay_inside()?;
        let file = CString::new(path.as_os_str().as_bytes()).map_err(StartError::of)?;
        let program = Program::new(
            strings(&self.order.arguments)?,
            strings(&self.order.environment)?,
        );
        executable::refused(&path, program.execute(&file))
    }
}

fn load(filter: Option<Vec<u8>>) -> Result<Option<OwnedFd>, StartError> {
    let listener = filter.map_or(Ok(None), |filter| load_filter(&filter));
    listener.map_err(StartError::step("load seccomp filter"))
}

fn strings(texts: &[String]) -> Result<Vec<CString>, StartError> {
    let all = texts.iter().map(|text| CString::new(text.as_str()));
    all.collect::<Result<_, _>>().map_err(StartError::of)
}

const BITS: u32 = 64;

/// Takes what is not wanted out of the bounding set, so that no program can bring it back.
fn drop_bounding(wanted: &LinuxCapabilities) -> Result<(), StartError> {
    let keep = capability::set(wanted.bounding().as_ref());
    for number in 0..BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if keep.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // Behind the last that this kernel knows.
            Err(Errno::INVAL) => return Ok(()),
            Err(errno) => return Err(StartError::step("drop bounding caps")(errno)),
        }
    }
    Ok(())
}

/// Sets the other four sets; nobody can be given what we do not have.
fn restrict(wanted: &LinuxCapabilities) -> Result<(), Errno> {
    let held = capabilities(None)?.permitted;
    let permitted = capability::set(wanted.permitted().as_ref()) & held;
    let inheritable = capability::set(wanted.inheritable().as_ref()) & permitted;
    let sets = CapabilitySets {
        effective: capability::set(wanted.effective().as_ref()) & permitted,
        permitted,
        inheritable,
    };
    set_capabilities(None, sets)?;
    clear_ambient_capability_set()?;
    let ambient = capability::set(wanted.ambient().as_ref()) & inheritable;
    let mut each = ambient.iter();
    each.try_for_each(|one| configure_capability_in_ambient_set(one, true))
}
