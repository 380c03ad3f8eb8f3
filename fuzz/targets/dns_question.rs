//! A question that is understood is the one that hickory reads, and every answer to it is a DNS
//! response within the client's limit.
#![no_main]

use dns::Transport;
use dns::question::{self, QuestionError, QuestionName};
use dns::response::{Extended, FILTERED, Rcode, bare, headless, size_limit, truncated};
use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;

const TEXT: &str = "not-allowed; to allow: --allow evil.example";

fuzz_target!(|data: &[u8]| {
    let question = match question::parse(data) {
        Ok(question) => question,
        Err(QuestionError::NotAQuery) => return,
        Err(QuestionError::Opcode(head)) => return check_response(&headless(head, Rcode::NotImp), head.id),
        Err(QuestionError::Malformed(head)) => {
            return check_response(&headless(head, Rcode::FormErr), head.id);
        }
        Err(QuestionError::EdnsVersion(head)) => {
            return check_response(&headless(head, Rcode::BadVers), head.id);
        }
    };
    let name = question.name.as_str();
    assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));

    if let (QuestionName::Host(name), Ok(message)) = (&question.name, Message::from_vec(data)) {
        let theirs = &message.queries[0];
        assert_eq!(theirs.name().to_ascii().trim_end_matches('.').to_ascii_lowercase(), name.as_str());
        assert_eq!(u16::from(theirs.query_type()), question.kind.0);
    }

    let limit = size_limit(question.edns, Transport::Udp);
    for rcode in [Rcode::NxDomain, Rcode::Refused, Rcode::ServFail] {
        let extended = Extended { code: FILTERED, text: TEXT };
        let response = bare(&question, rcode, Some(extended), limit);
        assert!(response.len() <= limit);
        check_response(&response, question.head.id);
    }
    let response = truncated(&question);
    assert!(response.len() <= limit);
    check_response(&response, question.head.id);
});

/// Our own parser takes no response for a question, or two servers could answer each other.
fn check_response(response: &[u8], id: u16) {
    assert_eq!(question::parse(response), Err(QuestionError::NotAQuery));
    let message = Message::from_vec(response).expect("a DNS message");
    assert_eq!(message.metadata.id, id);
}
