//! Which file a URL names: the same under another signature, another under another query.

use base16ct::lower::encode_string;
use sha2::{Digest as _, Sha256};

use super::SourceUrl;

/// What makes two URLs name one file: scheme, host, port, path and query, less the parameters of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey {
    /// Without credentials, query and fragment.
    address: String,
    /// See [`SourceUrl::query_hash`].
    query_hash: Option<String>,
}

/// What a query holds because it is signed: where all of `marks` are there, `parameters` are no part of the file's
/// name. A parameter that ends in `*` stands for all that begin so. Case does not count.
///
/// A name that others may use too, such as `Expires`, is left out only beside the mark of its scheme; what only
/// says how the store answers, such as `response-content-type` or `x-oss-process`, never is.
struct Scheme {
    marks: &'static [&'static str],
    parameters: &'static [&'static str],
}

const SCHEMES: [Scheme; 10] = [
    // Amazon S3, Signature Version 4: docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    Scheme {
        marks: &["X-Amz-Signature"],
        parameters: &["X-Amz-*"],
    },
    // Google Cloud Storage, V4: cloud.google.com/storage/docs/authentication/signatures
    Scheme {
        marks: &["X-Goog-Signature"],
        parameters: &["X-Goog-*"],
    },
    // Alibaba Cloud OSS, V4: help.aliyun.com/zh/oss/developer-reference/add-signatures-to-urls
    Scheme {
        marks: &["x-oss-signature"],
        parameters: &[
            "x-oss-signature",
            "x-oss-signature-version",
            "x-oss-credential",
            "x-oss-date",
            "x-oss-expires",
            "x-oss-additional-headers",
            "x-oss-security-token",
        ],
    },
    // Tencent Cloud COS: cloud.tencent.com/document/product/436/7778
    Scheme {
        marks: &["q-signature"],
        parameters: &[
            "q-sign-algorithm",
            "q-ak",
            "q-sign-time",
            "q-key-time",
            "q-header-list",
            "q-url-param-list",
            "q-signature",
            "x-cos-security-token",
        ],
    },
    // Several stores sign so; what else belongs to it says whose it is.
    Scheme {
        marks: &["Signature"],
        parameters: &["Signature", "Expires"],
    },
    // Amazon S3, Signature Version 2.
    Scheme {
        marks: &["Signature", "AWSAccessKeyId"],
        parameters: &["AWSAccessKeyId", "x-amz-security-token"],
    },
    // Amazon CloudFront, canned and custom policies.
    Scheme {
        marks: &["Signature", "Key-Pair-Id"],
        parameters: &["Key-Pair-Id", "Policy", "Hash-Algorithm"],
    },
    // Google Cloud Storage, V2.
    Scheme {
        marks: &["Signature", "GoogleAccessId"],
        parameters: &["GoogleAccessId"],
    },
    // Alibaba Cloud OSS, V1.
    Scheme {
        marks: &["Signature", "OSSAccessKeyId"],
        parameters: &["OSSAccessKeyId", "security-token"],
    },
    // Azure Storage, shared access signatures: learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
    Scheme {
        marks: &["sig", "sv"],
        parameters: &[
            "sig", "sv", "se", "sp", "sr", "st", "spr", "sip", "si", "ss", "srt", "sdd", "ses",
            "skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "skdutid",
            "sduoid",
        ],
    },
];

impl SourceUrl {
    /// The file that this URL names, whatever signature it carries.
    ///
    /// ```
    /// use redledger::source_url::SourceUrl;
    ///
    /// let identity = |url| SourceUrl::parse(url).map(|url| url.identity());
    /// let file = identity("https://h/export?part=1&X-Amz-Date=1&X-Amz-Signature=a")?;
    /// assert_eq!(file, identity("https://h/export?X-Amz-Date=2&X-Amz-Signature=b&part=1")?);
    /// assert_ne!(file, identity("https://h/export?part=2&X-Amz-Date=1&X-Amz-Signature=a")?);
    /// # Ok::<(), String>(())
    /// ```
    #[must_use]
    pub fn identity(&self) -> FileKey {
        let mut bare = self.0.clone();
        bare.set_query(None);
        bare.set_fragment(None);
        // Refused only by URLs that can't have any.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        FileKey {
            address: bare.into(),
            query_hash: self.query_hash(),
        }
    }

    /// SHA-256, in lower hexadecimal, of the query less the parameters of a signature; `None` where nothing is left.
    ///
    /// Hashed are `name=value` pairs joined by `&`, in the order of their names; equal names stay in their order.
    /// Every byte but `A-Z a-z 0-9 - . _ ~` is written as `%` and two upper-case digits, a blank however it came as
    /// `%20`. So neither the order of the parameters nor the way they are escaped counts. A query is kept by this
    /// hash and never as text: what looks like a plain parameter may be somebody's token.
    #[must_use]
    pub fn query_hash(&self) -> Option<String> {
        let pairs = self.0.query().unwrap_or_default().split('&');
        let mut pairs: Vec<(String, String)> = pairs
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (escaped(name), escaped(value))
            })
            .collect();
        let has = |mark: &str| {
            pairs
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(mark))
        };
        let signed: Vec<&str> = SCHEMES
            .iter()
            .filter(|scheme| scheme.marks.iter().copied().all(has))
            .flat_map(|scheme| scheme.parameters.iter().copied())
            .collect();
        pairs.retain(|(name, _)| !signed.iter().any(|parameter| is_named(name, parameter)));
        if pairs.is_empty() {
            return None;
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Some(encode_string(&Sha256::digest(pairs.join("&"))))
    }
}

/// Whether a parameter is meant by a scheme's `pattern`.
fn is_named(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name
            .get(..start.len())
            .is_some_and(|of| of.eq_ignore_ascii_case(start)),
        None => name.eq_ignore_ascii_case(pattern),
    }
}

/// A name or value of a query, escaped in one way however it came; bytes that are no UTF-8 stay what they are.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let byte = match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => {
                    rest = behind;
                    high << 4 | low
                }
                None => b'%',
            },
            (byte, _) => *byte,
        };
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use base16ct::lower::encode_string;
    use sha2::{Digest as _, Sha256};

    use super::super::SourceUrl;

    fn hash(query: &str) -> Option<String> {
        let url = format!("https://u:p@h/export?{query}#f");
        SourceUrl::parse(&url).expect("a URL").query_hash()
    }

    #[track_caller]
    fn assert_left(query: &str, left: &str) {
        let expected = (!left.is_empty()).then(|| encode_string(&Sha256::digest(left)));
        assert_eq!(hash(query), expected, "{query}");
    }

    #[test]
    fn what_signs_a_url_is_no_part_of_the_file() {
        for signature in [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20260331&X-Amz-Date=1&X-Amz-Expires=9&X-Amz-SignedHeaders=host&X-Amz-Security-Token=t&X-Amz-Signature=s",
            "AWSAccessKeyId=k&Signature=s%3D&Expires=9&x-amz-security-token=t",
            "Expires=9&Signature=s&Key-Pair-Id=k",
            "Policy=p&Signature=s&Key-Pair-Id=k",
            "X-Goog-Algorithm=a&X-Goog-Credential=c&X-Goog-Date=1&X-Goog-Expires=9&X-Goog-SignedHeaders=host&X-Goog-Signature=s",
            "GoogleAccessId=g&Expires=9&Signature=s",
            "OSSAccessKeyId=k&Expires=9&Signature=s&security-token=t",
            "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date=1&x-oss-expires=9&x-oss-credential=c&x-oss-signature=s",
            "q-sign-algorithm=sha1&q-ak=k&q-sign-time=1;2&q-key-time=1;2&q-header-list=host&q-url-param-list=&q-signature=s&x-cos-security-token=t",
            "sv=2024-11-04&st=1&se=2&sr=b&sp=r&sip=1&spr=https&skoid=o&sktid=t&skt=1&ske=2&sks=b&skv=2024&sig=s%3D",
            "sv=2022-11-02&ss=b&srt=o&sp=r&se=2&sig=s",
        ] {
            assert_left(signature, "");
            assert_left(&format!("part=1&{signature}&day=2"), "day=2&part=1");
        }
    }

    #[test]
    fn without_a_signature_the_same_names_are_somebodys_own() {
        for (query, left) in [
            ("Expires=9", "Expires=9"),
            ("Expires=9&part=1", "Expires=9&part=1"),
            ("AWSAccessKeyId=k&Expires=9", "AWSAccessKeyId=k&Expires=9"),
            ("X-Amz-Date=1", "X-Amz-Date=1"),
            ("Policy=7&Signature=s", "Policy=7"),
            ("security-token=t&Signature=s&Expires=9", "security-token=t"),
            ("sp=1&st=2&se=3", "se=3&sp=1&st=2"),
            ("sp=1&sig=s", "sig=s&sp=1"),
            ("q-ak=1", "q-ak=1"),
            ("X-Goog-Date=1&X-Amz-Signature=s", "X-Goog-Date=1"),
            ("x-oss-process=csv&x-oss-signature=s", "x-oss-process=csv"),
            ("versionId=3&X-Amz-Signature=s", "versionId=3"),
        ] {
            assert_left(query, left);
        }
    }

    #[test]
    fn neither_order_nor_escaping_of_a_query_counts_and_everything_else_does() {
        for (query, left) in [
            ("", ""),
            ("&&", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1", "a=2&a=1"),
            ("a", "a="),
            ("a=%7e%2f", "a=~%2F"),
            ("a=x+y&b=x%20y", "a=x%20y&b=x%20y"),
            ("a=1%2B1&b=%", "a=1%2B1&b=%25"),
            ("%61=%62", "a=b"),
            ("a=账", "a=%E8%B4%A6"),
            ("a=%D5%CA&b=%ff", "a=%D5%CA&b=%FF"),
            ("a=1%26b=2", "a=1%26b%3D2"),
            ("Part=1&part=1", "Part=1&part=1"),
        ] {
            assert_left(query, left);
        }
        assert_ne!(hash("a=%D5%CA"), hash("a=%D5%CB"));
        assert_ne!(hash("a=1&b=2"), hash("a=1%26b=2"));
    }

    #[test]
    fn files_are_told_apart_by_everything_but_signature_credentials_and_fragment() {
        let identity = |url: &str| SourceUrl::parse(url).expect("a URL").identity();
        let file = identity("https://h/a?part=1");
        for same in [
            "https://h:443/a?part=1",
            "https://H/a?part=1#x",
            "https://u:p@h/a?part=1",
            "https://h/b/../a?part=1&",
            "https://h/a?Expires=1&part=1&Signature=x",
        ] {
            assert_eq!(identity(same), file, "{same}");
        }
        for other in [
            "http://h/a?part=1",
            "https://h:8443/a?part=1",
            "https://g/a?part=1",
            "https://h/A?part=1",
            "https://h/a?part=2",
            "https://h/a",
            "https://h/a/?part=1",
        ] {
            assert_ne!(identity(other), file, "{other}");
        }
        let shown = format!("{:?}", identity("https://u:p@h/a?token=s3cret"));
        assert!(
            !shown.contains("s3cret") && !shown.contains("u:p"),
            "{shown}"
        );
    }
}
