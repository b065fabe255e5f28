//! Memory of the guest, mapped for a copy.

use crate::mapping::Page;

/// A page of the guest.
#[derive(Debug)]
pub struct GuestPage {
    page: Page,
}

impl GuestPage {
    pub(crate) fn new(page: Page) -> Self {
        Self { page }
    }

    /// Copies bytes at `offset` out of it; `data` stays as it is where they do
    /// not all lie in the page.
    pub fn read(&self, offset: usize, data: &mut [u8]) {
        self.page.read(offset, data);
    }

    /// Copies bytes into it at `offset`; none where they do not all fit.
    pub fn write(&self, offset: usize, data: &[u8]) {
        self.page.write(offset, data);
    }
}
