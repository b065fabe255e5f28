//! What came of a command, in a word.

use vgpu_direct::{Error, name_of_code};

/// What came of a command.
pub(crate) fn outcome<T>(result: &Result<T, Error>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(Error::Busy) => "busy".to_owned(),
        Err(Error::Refused { code, .. }) => match name_of_code(*code) {
            Some(name) => name.to_owned(),
            None => format!("code {code}"),
        },
        Err(error) => error.to_string(),
    }
}
