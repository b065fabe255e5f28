//! Does another VM's QEMU reach this VM's device? libvirt runs all QEMUs as one
//! user: who has taken one over can connect where that user can.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use vgpu_checklist::{Evidence, Mend, Trouble};
use vgpu_terminal::shell::{quoted, this_command};

use super::process::restart;
use crate::doctor::arguments;
use crate::doctor::host::Host;
use crate::doctor::process::Process;
use crate::doctor::subject::{Attachment, Subject};

/// It belongs to the user and the group that libvirt gives a QEMU without a
/// label of its own.
const LIBVIRTS_FOLDER: &str = "/var/lib/libvirt/qemu";

const SEARCH: u32 = 0o1;
const WRITE: u32 = 0o2;

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let host = &subject.host;
    let qemu = subject.qemu.as_ref();
    let named = qemu.and_then(|qemu| Some((qemu, arguments::libvirts_name(qemu)?)));
    let (Some((qemu, name)), Some(Attachment::VfioUser)) = (named, subject.attachment) else {
        return Ok(());
    };
    let accounts = Accounts::read(host);
    let (Some(own), Some(default)) = (Ids::of(host, qemu), accounts.default(host)) else {
        return Err(Trouble::not_seen(
            format!("nobody tells which users QEMU and {LIBVIRTS_FOLDER} belong to"),
            [Mend::host(format!("ls -ldn {LIBVIRTS_FOLDER}"))],
        ));
    };
    for socket in subject.sockets() {
        let path = host.path(&socket);
        let admits = |ids: &Ids| ids.reach(&path);
        let reached = others(host, qemu, &default)
            .into_iter()
            .find_map(|(who, ids)| match admits(&ids) {
                Ok(false) => None,
                Ok(true) => Some(Ok(who)),
                Err(error) => Some(Err(error)),
            });
        match reached {
            None => seen.note(format!("{socket}: no other VM's QEMU may connect")),
            Some(Err(error)) => {
                return Err(Trouble::not_seen(
                    format!("cannot look at {socket}: {error}"),
                    [Mend::host(format!("sudo {}", this_command("")))],
                ));
            }
            Some(Ok(who)) => {
                return Err(Trouble::fault(
                    format!("{who} may connect to {socket} too, and be this VM there"),
                    mends(&accounts, &socket, qemu, name, &own, &default),
                ));
            }
        }
    }
    Ok(())
}

/// Who else there is, or may be at any time.
fn others(host: &Host, qemu: &Process, default: &Ids) -> Vec<(String, Ids)> {
    let processes = Process::all(host);
    let others = processes.iter().filter(|other| other.pid != qemu.pid);
    let running = others.filter_map(|other| {
        let name = arguments::libvirts_name(other)?;
        Some((format!("the QEMU of {name}"), Ids::of(host, other)?))
    });
    let any = (
        "the QEMU of any VM without a label of its own".to_owned(),
        default.clone(),
    );
    running.chain([any]).collect()
}

/// A group of the VM's own: the socket admits it alone, and a static label
/// gives it to the VM's QEMU.
fn mends(
    accounts: &Accounts,
    socket: &str,
    qemu: &Process,
    name: &str,
    own: &Ids,
    default: &Ids,
) -> Vec<Mend> {
    let labelled = (own.user, own.group) != (default.user, default.group);
    let group = match labelled {
        true => accounts.group(own.group),
        false => format!("vgpu-{name}"),
    };
    let (group, socket) = (quoted(&group), Path::new(socket));
    let folder = quoted(socket.parent().unwrap_or(socket));
    let socket = quoted(socket);
    let admit = Mend::host(format!(
        "chgrp {group} {folder} {socket} && chmod 0710 {folder} && chmod 0660 {socket}  \
         # and its server with this group from now on"
    ));
    if labelled {
        return vec![admit];
    }
    let label = format!("{}:vgpu-{name}", accounts.user(default.user));
    let label = format!(
        "<seclabel type='static' model='dac' relabel='yes'><label>{label}</label></seclabel>"
    );
    let name = quoted(name);
    let mut mends = vec![
        Mend::host(format!("getent group {group} || groupadd --system {group}")),
        admit,
        Mend::host(format!(
            "virsh dumpxml --inactive --security-info {name} | \
             sed \"s#</domain>#{label}&#\" | virsh define /dev/stdin"
        )),
    ];
    mends.extend(restart(qemu));
    mends
}

/// Whom the kernel takes a process for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ids {
    user: u32,
    group: u32,
    /// With `group` itself.
    groups: Vec<u32>,
}

impl Ids {
    /// As /proc/pid/status has them (proc(5)): real, effective, saved, and of
    /// the file system, which is what counts for files.
    fn of(host: &Host, process: &Process) -> Option<Self> {
        let status = host.text(format!("/proc/{}/status", process.pid)).ok()?;
        let numbers = |name: &str| -> Option<Vec<u32>> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().map(|it| it.parse().ok()).collect()
        };
        let group = *numbers("Gid:")?.get(3)?;
        let mut groups = numbers("Groups:")?;
        groups.push(group);
        Some(Self {
            user: *numbers("Uid:")?.get(3)?,
            group,
            groups,
        })
    }

    /// Whether they may connect to a socket. libvirt leaves QEMU no capability,
    /// so root is as any other user.
    fn reach(&self, socket: &Path) -> io::Result<bool> {
        let socket = socket.canonicalize()?;
        for folder in socket.ancestors().skip(1) {
            if !self.may(SEARCH, &fs::metadata(folder)?) {
                return Ok(false);
            }
        }
        Ok(self.may(WRITE, &fs::metadata(&socket)?))
    }

    /// The first class that fits decides (path_resolution(7)).
    fn may(&self, access: u32, file: &Metadata) -> bool {
        let shift = if file.uid() == self.user {
            6
        } else if self.groups.contains(&file.gid()) {
            3
        } else {
            0
        };
        file.permissions().mode() >> shift & access != 0
    }
}

/// The host's users and groups, as far as files have them.
struct Accounts {
    passwd: String,
    groups: String,
}

impl Accounts {
    fn read(host: &Host) -> Self {
        let text = |path| host.text(path).unwrap_or_default();
        Self {
            passwd: text("/etc/passwd"),
            groups: text("/etc/group"),
        }
    }

    /// The ids of a QEMU without a label of its own: libvirt gives it all
    /// groups of the user.
    fn default(&self, host: &Host) -> Option<Ids> {
        let folder = fs::metadata(host.path(LIBVIRTS_FOLDER)).ok()?;
        let (user, group) = (folder.uid(), folder.gid());
        let name = self.user(user);
        let primary = entries(&self.passwd).find(|entry| entry[0] == name);
        let primary = primary.and_then(|entry| entry.get(3)?.parse().ok());
        let member = |entry: &Vec<&str>| {
            let members = entry.get(3).copied().unwrap_or_default();
            members.split(',').any(|member| member == name)
        };
        let member_of = entries(&self.groups).filter(member);
        let member_of = member_of.filter_map(|entry| entry.get(2)?.parse().ok());
        let groups = [group].into_iter().chain(primary).chain(member_of);
        Some(Ids {
            user,
            group,
            groups: groups.collect(),
        })
    }

    fn user(&self, id: u32) -> String {
        name(&self.passwd, id)
    }

    fn group(&self, id: u32) -> String {
        name(&self.groups, id)
    }
}

/// The fields of each line of passwd(5) or group(5).
fn entries(file: &str) -> impl Iterator<Item = Vec<&str>> {
    file.lines().map(|line| line.split(':').collect())
}

/// The name with this id; both files have it third.
fn name(file: &str, id: u32) -> String {
    let id = id.to_string();
    let entry = entries(file).find(|entry| entry.get(2) == Some(&id.as_str()));
    // libvirt, as chown, takes a number with a plus for an id.
    entry.map_or_else(|| format!("+{id}"), |entry| entry[0].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    /// A host whose libvirt gives QEMU the owner of these files.
    fn host() -> (tempfile::TempDir, Host, Accounts) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("var/lib/libvirt/qemu")).unwrap();
        let host = Host::new(folder.path(), Duration::from_secs(1));
        let file = fs::metadata(folder.path()).unwrap();
        let (user, group) = (file.uid(), file.gid());
        let accounts = Accounts {
            passwd: format!("other:x:77:77::/:/bin/sh\nq:x:{user}:5001::/:/bin/false\n"),
            groups: format!("kvm:x:5002:a,q\nlone:x:5003:qq\nq:x:{group}:\n"),
        };
        (folder, host, accounts)
    }

    #[test]
    fn a_qemu_without_a_label_has_all_groups_of_libvirts_user() {
        let (folder, host, accounts) = host();
        let group = fs::metadata(folder.path()).unwrap().gid();
        let default = accounts.default(&host).unwrap();
        assert_eq!(default.groups, [group, 5001, 5002]);
        assert_eq!(accounts.user(77), "other");
        assert_eq!(accounts.group(5002), "kvm");
        assert_eq!(accounts.group(5004), "+5004");
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let (folder, ..) = host();
        let vm = folder.path().join("vm");
        fs::create_dir(&vm).unwrap();
        let socket = vm.join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let file = fs::metadata(&socket).unwrap();
        let owner = Ids {
            user: file.uid(),
            ..Ids::default()
        };
        let stranger = file.uid() + 1;
        let group = Ids {
            user: stranger,
            group: file.gid(),
            groups: vec![file.gid()],
        };
        let other = Ids {
            user: stranger,
            group: stranger,
            groups: vec![file.gid() + 1],
        };
        // The folder of the test's own is its user's alone.
        let outer = folder.path().parent().unwrap();
        assert!(other.reach(outer).is_ok());
        for (folder_mode, socket_mode, reached) in [
            (0o710, 0o660, [true, true, false]),
            (0o710, 0o600, [true, false, false]),
            (0o700, 0o660, [true, false, false]),
            (0o711, 0o666, [true, true, true]),
            (0o777, 0o606, [true, false, true]),
            (0o770, 0o666, [true, true, false]),
        ] {
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
            fs::set_permissions(&vm, Permissions::from_mode(folder_mode)).unwrap();
            fs::set_permissions(&socket, Permissions::from_mode(socket_mode)).unwrap();
            let reach = [&owner, &group, &other].map(|ids| ids.reach(&socket).unwrap());
            assert_eq!(reach, reached, "{folder_mode:o} {socket_mode:o}");
        }
        assert!(owner.reach(&vm.join("none")).is_err());
    }
}
