//! The name under which OpenSSL looks a root up in a directory: `X509_NAME_hash`, a hash of the canonical
//! form of the subject (crypto/x509/x_name.c). Pure.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::der::{self, BMP_STRING, CONTEXT_0, SEQUENCE, SET, UTF8_STRING};

/// PrintableString, IA5String and VisibleString, whose bytes are UTF-8 as they are.
const ASCII_STRINGS: [u8; 3] = [0x13, 0x16, 0x1a];

/// The file name for a certificate; `None` if it has no subject that is understood.
pub(super) fn file_name(certificate: &[u8]) -> Option<String> {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &canonical(subject(certificate)?)?);
    let first = digest.as_ref().first_chunk().copied()?;
    Some(format!("{:08x}.0", u32::from_le_bytes(first)))
}

/// The content of the subject (RFC 5280, section 4.1).
fn subject(certificate: &[u8]) -> Option<&[u8]> {
    let (to_be_signed, _) = der::split(der::only(certificate, SEQUENCE)?)?;
    // After the version, which may be left out: serial number, algorithm, issuer, validity, subject.
    let fields = der::elements(to_be_signed.content).skip_while(|field| field.tag == CONTEXT_0);
    fields.take(5).last().map(|subject| subject.content)
}

/// Values as UTF-8 in lower case with single spaces, and no header around the whole.
fn canonical(name: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for relative in der::elements(name) {
        let mut attributes = Vec::new();
        for attribute in der::elements(relative.content) {
            let (kind, value) = der::split(attribute.content)?;
            let (value, _) = der::split(value)?;
            let value = match text(value.tag, value.content) {
                Some(text) => der::element(UTF8_STRING, &[fold(&text).as_bytes()]),
                None => value.whole.to_vec(),
            };
            attributes.push(der::element(SEQUENCE, &[kind.whole, &value]));
        }
        let parts: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
        bytes.extend(der::element(SET, &parts));
    }
    Some(bytes)
}

fn text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING => String::from_utf8(content.to_vec()).ok(),
        BMP_STRING => {
            let units: Vec<u16> =
                content.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        tag if ASCII_STRINGS.contains(&tag) => String::from_utf8(content.to_vec()).ok(),
        _ => None,
    }
}

fn fold(text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.join(" ").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// The subject is C=DE, O="  Two   Words ", CN="cijail-net ÄB"; the name is what `openssl x509 -hash`
    /// says.
    #[test]
    fn is_what_openssl_says() {
        let certificate = "\
        MIIB1DCCAXugAwIBAgIURKrgX6V8Wsig4kUkik42YXKZz9MwCgYIKoZIzj0EAwIw \
        PzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDiAgVHdvICAgV29yZHMgMRcwFQYDVQQD \
        DA5jaWphaWwtbmV0IMOEQjAgFw0yNjExMjIxMTE2NTVaGA8yMTI2MTAyOTExMTY1 \
        NVowPzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDiAgVHdvICAgV29yZHMgMRcwFQYD \
        VQQDDA5jaWphaWwtbmV0IMOEQjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABP2W \
        zwMa116uS9+M36YCWjNOg7FH7gGufnTI+lugNbwieZ+MCpytfTQqEbsjyT/8VoTK \
        xqJMAv7Uerb/fxhx7syjUzBRMB0GA1UdDgQWBBSRaLLL5Mle/7r0IJ40dh9taTuH \
        YDAfBgNVHSMEGDAWgBSRaLLL5Mle/7r0IJ40dh9taTuHYDAPBgNVHRMBAf8EBTAD \
        AQH/MAoGCCqGSM49BAMCA0cAMEQCIHosNioBS3AgMrrs2Ns0jTLWssj6/Z8AQwWV \
        sx7vxj22AiAX6LmSdQ2krZRA7IIombtbmuTzq8SVSzd/ny2JHY50Jw== \
        ";
        let text: String = certificate.split_whitespace().collect();
        let certificate = STANDARD.decode(text).unwrap();
        assert_eq!(file_name(&certificate).as_deref(), Some("66318538.0"));
        for cut in 0..certificate.len() {
            assert_eq!(file_name(&certificate[..cut]), None);
        }
    }
}
