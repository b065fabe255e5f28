//! How devices get into VMs, by the names that greetings have.

use crate::protocol::Greeting;

macro_rules! attachments {
    ($($(#[$doc:meta])+ $attachment:ident = $name:literal,)+) => {
        /// How devices get into a VM.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Attachment {
            $($(#[$doc])+ $attachment,)+
        }

        impl Attachment {
            /// Its name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$attachment => $name,)+
                }
            }

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$attachment),)+
                    _ => None,
                }
            }
        }
    };
}

attachments! {
    /// Built into QEMU. There is no control socket, so nobody is greeted by this name.
    Qemu = "qemu",
    /// In a process that QEMU connects to.
    VfioUser = "vfio-user",
    /// In a process beside QEMU, on Xen.
    Xen = "xen",
}

impl Greeting {
    /// The attachment that it names; none where the server is newer, and its attachment too.
    #[must_use]
    pub fn attachment(&self) -> Option<Attachment> {
        Attachment::named(&self.attachment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_names_an_attachment() {
        let greeting = |name| Greeting::new(name, "1", 1).attachment();
        assert_eq!(greeting("vfio-user"), Some(Attachment::VfioUser));
        assert_eq!(greeting(Attachment::Xen.name()), Some(Attachment::Xen));
        assert_eq!(greeting("vhost"), None);
    }
}
