//! UUIDs.

use ::uuid::Uuid;

use crate::rejection::{CellFault, RejectionCode};

use super::trimmed;

/// The 128 bits of a UUID, its first hexadecimal digit being the highest.
///
/// 32 hexadecimal digits of either case, all together or hyphenated 8-4-4-4-12 (RFC 9562, section 4);
/// spaces around them are no fault. Any version, the nil UUID too.
///
/// # Errors
/// `invalid-uuid` for anything else, such as braces, `urn:uuid:` or other hyphens.
#[inline]
pub fn uuid(cell: &[u8]) -> Result<u128, CellFault> {
    let text = trimmed(cell);
    // The parser takes braces and URNs as well; their lengths are others.
    if matches!(text.len(), 32 | 36)
        && let Ok(uuid) = Uuid::try_parse_ascii(text)
    {
        return Ok(uuid.as_u128());
    }
    Err(fault(text))
}

#[cold]
fn fault(text: &[u8]) -> CellFault {
    let message = match text.len() {
        32 | 36 => "not a UUID: 32 hexadecimal digits, hyphenated 8-4-4-4-12 or not at all".into(),
        length => format!("{length} bytes where a UUID of 36 (or 32 without hyphens) is expected"),
    };
    CellFault::new(RejectionCode::InvalidUuid, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::uuid;
    use crate::rejection::RejectionCode;

    const BITS: u128 = 0x936d_a01f_9abd_4d9d_80c7_02af_85c8_22a8;

    #[test]
    fn both_forms_and_cases_are_taken() {
        for text in [
            "936da01f-9abd-4d9d-80c7-02af85c822a8",
            "936DA01F-9ABD-4D9D-80C7-02AF85C822A8",
            "936da01f9abd4d9d80c702af85c822a8",
            "936DA01f9abd4d9D80c702af85c822A8",
            "  936da01f-9abd-4d9d-80c7-02af85c822a8 ",
        ] {
            assert_eq!(uuid(text.as_bytes()), Ok(BITS), "{text}");
        }
        assert_eq!(uuid(b"00000000-0000-0000-0000-000000000000"), Ok(0));
    }

    #[test]
    fn other_forms_are_rejected() {
        for text in [
            "",
            "-",
            "936da01f",
            "{936da01f-9abd-4d9d-80c7-02af85c822a8}",
            "urn:uuid:936da01f-9abd-4d9d-80c7-02af85c822a8",
            "936da01f-9abd-4d9d-80c7-02af85c822a",
            "936da01f-9abd-4d9d-80c7-02af85c822a88",
            "936da01f-9abd-4d9d-80c7-02af85c822ag",
            "936da01f9-abd-4d9d-80c7-02af85c822a8",
            "936da01f_9abd_4d9d_80c7_02af85c822a8",
            "936da01f-9abd4d9d80c702af85c822a8",
            "\t936da01f-9abd-4d9d-80c7-02af85c822a8",
            "936da01f-9abd-4d9d-80c7-02af85c822\u{e9}",
        ] {
            let fault = uuid(text.as_bytes()).expect_err(text);
            assert_eq!(fault.code, RejectionCode::InvalidUuid, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_uuid_comes_back(bits: u128) {
            let uuid_of = ::uuid::Uuid::from_u128(bits);
            prop_assert_eq!(uuid(uuid_of.hyphenated().to_string().as_bytes()), Ok(bits));
            prop_assert_eq!(uuid(uuid_of.simple().to_string().as_bytes()), Ok(bits));
        }

        #[test]
        fn no_bytes_panic(cell in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = uuid(&cell);
        }
    }
}
