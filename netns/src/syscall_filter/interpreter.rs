//! What the kernel makes of a program, for tests.

use std::mem::offset_of;

use libc::{seccomp_data, sock_filter};

use super::{ARCHITECTURE, Answer};

pub(crate) const KILLED: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// Runs of one program.
pub(crate) struct Run(Vec<sock_filter>);

impl Run {
    pub(crate) fn of(program: Vec<sock_filter>) -> Run {
        Run(program)
    }

    /// The answer to a native call.
    pub(crate) fn answer(&self, call: u32, arguments: [u64; 6]) -> Answer {
        match self.action(ARCHITECTURE, call, arguments) {
            libc::SECCOMP_RET_ALLOW => Answer::Allow,
            libc::SECCOMP_RET_USER_NOTIF => Answer::Ask,
            action => {
                assert_eq!(action & libc::SECCOMP_RET_ACTION_FULL, libc::SECCOMP_RET_ERRNO);
                Answer::Refuse((action & libc::SECCOMP_RET_DATA) as i32)
            }
        }
    }

    /// Whether the number alone decides: the kernel asks such a program once and remembers.
    pub(crate) fn knows_by_number(&self, call: u32) -> bool {
        self.interpret(ARCHITECTURE, call, None).is_some()
    }

    pub(crate) fn action(&self, architecture: u32, call: u32, arguments: [u64; 6]) -> u32 {
        self.interpret(architecture, call, Some(arguments)).expect("the arguments are there")
    }

    /// bpf(4), with the data of one system call; nothing if it asks for arguments that are not given.
    fn interpret(&self, architecture: u32, call: u32, arguments: Option<[u64; 6]>) -> Option<u32> {
        let mut data = Vec::new();
        data.extend(call.to_ne_bytes());
        data.extend(architecture.to_ne_bytes());
        data.extend([0; 8]);
        arguments.iter().flatten().for_each(|argument| data.extend(argument.to_ne_bytes()));
        assert!(arguments.is_none() || data.len() == size_of::<seccomp_data>());
        let (mut accumulator, mut next) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = self.0[next];
            next += 1;
            let mut on = |holds: bool| next += usize::from(if holds { jt } else { jf });
            match code {
                // Load a word, AND, return (linux/bpf_common.h).
                0x20 if arguments.is_none() && k as usize >= offset_of!(seccomp_data, args) => return None,
                0x20 => accumulator = u32::from_ne_bytes(*data[k as usize..].first_chunk().unwrap()),
                0x54 => accumulator &= k,
                0x06 => return Some(k),
                // Jump: always, if equal, if at least.
                0x05 => next += k as usize,
                0x15 => on(accumulator == k),
                0x35 => on(accumulator >= k),
                code => panic!("an instruction {code:#x} that the kernel may not take"),
            }
        }
    }
}
