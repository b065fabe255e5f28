//! What the rows of the tables ask about what the user asked for.

use crate::hypervisor::Hypervisor;
use crate::options::Args;
use crate::version::Version;

/// Something that holds or does not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact {
    /// The hosts run this.
    On(Hypervisor),
    /// CloudStack is older.
    Before(Version),
    /// QEMU has the device built in.
    BuiltIn,
    /// A server beside QEMU has the device.
    VfioUser,
    /// Properties of a device were given.
    Properties,
    /// Every account is allowed to do it.
    AllAccounts,
    /// One account is.
    OneAccount,
    /// It is known what the list has now.
    ListKnown,
    /// It is not.
    ListUnknown,
}

impl Fact {
    /// Whether it holds.
    pub(crate) fn holds(self, args: &Args) -> bool {
        match self {
            Self::On(hypervisor) => args.hypervisor == hypervisor,
            Self::Before(version) => args.cloudstack_version < version,
            Self::BuiltIn => args.hypervisor == Hypervisor::Kvm && args.vfio_user.is_none(),
            Self::VfioUser => args.vfio_user.is_some(),
            Self::Properties => !args.device.is_empty(),
            Self::AllAccounts => args.account_id.is_none(),
            Self::OneAccount => args.account_id.is_some(),
            Self::ListKnown => !args.existing_list.is_empty(),
            Self::ListUnknown => args.existing_list.is_empty(),
        }
    }
}

/// Whether all of them hold; of none, they do.
pub(crate) fn all_hold(facts: &[Fact], args: &Args) -> bool {
    facts.iter().all(|fact| fact.holds(args))
}
