//! Filters of system calls (seccomp(2)), for the job and for the gateway: [`build`] is pure,
//! [`install()`] hands a program to the kernel.
//!
//! A program is a binary search over the numbers: installing makes the kernel run it once for every
//! call there is, and what is decided by its number alone costs nothing from then on. Arguments are
//! compared as values, never what they point to: another thread could change that after the check.

mod install;
#[cfg(test)]
mod interpreter;

use std::mem::offset_of;

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use libc::{c_int, c_long, seccomp_data, sock_filter};

pub(crate) use install::{install, install_with_listener};
#[cfg(test)]
pub(crate) use interpreter::{KILLED, Run};

/// The machine's own architecture (linux/audit.h).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// The last number before x32, a second table of the same calls that no filter of ours numbers.
pub(crate) const LAST_NATIVE: u32 = 0x3fff_ffff;
/// What a tracer sets to skip a call: there is nothing to refuse, and its answer stays.
const SKIPPED: u32 = u32::MAX;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Allow,
    Refuse(c_int),
    /// The call waits for who has the filter's listener: see [`install_with_listener`].
    Ask,
}

/// The answer to one system call.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    number: u32,
    look: Option<Look>,
    otherwise: Answer,
}

/// Values of one argument that have an answer of their own.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    argument: usize,
    /// These bits are compared.
    mask: u32,
    values: Vec<(u32, Answer)>,
}

impl Rule {
    /// The same answer whatever the arguments are.
    pub(crate) fn always(number: c_long, answer: Answer) -> Rule {
        Rule { number: number as u32, look: None, otherwise: answer }
    }

    /// An answer for each of some values of the low half of an argument, and one for all others.
    pub(crate) fn by_value(
        number: c_long,
        argument: usize,
        values: impl IntoIterator<Item = (u32, Answer)>,
        otherwise: Answer,
    ) -> Rule {
        let values = values.into_iter().collect();
        let look = Some(Look { argument, mask: u32::MAX, values });
        Rule { number: number as u32, look, otherwise }
    }

    /// Lets the call through if these bits of the low half of an argument have this value.
    pub(crate) fn if_bits(number: c_long, argument: usize, mask: u32, value: u32, otherwise: Answer) -> Rule {
        let look = Some(Look { argument, mask, values: vec![(value, Answer::Allow)] });
        Rule { number: number as u32, look, otherwise }
    }

    /// The kernel looks at the low half of the request alone, and so does this.
    pub(crate) fn no_typing() -> Rule {
        let refused = TYPING.map(|request| (request as u32, Answer::Refuse(libc::EPERM)));
        Rule::by_value(libc::SYS_ioctl, 1, refused, Answer::Allow)
    }
}

/// Requests that put words into a terminal's input, or change what it takes for input: the caller's
/// shell would read them when the job has ended (ioctl_tty(2)).
const TYPING: [libc::Ioctl; 3] = [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];

/// Builds a program. Calls without a rule are let through, but there are none above `last`. Another
/// architecture ends the process: i386 passes the arguments of `socket` behind a pointer.
pub(crate) fn build(mut rules: Vec<Rule>, last: u32) -> Vec<sock_filter> {
    rules.sort_by_key(|rule| rule.number);
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        jump(BPF_JEQ, ARCHITECTURE, 1, 0),
        stop(libc::SECCOMP_RET_KILL_PROCESS),
        load(offset_of!(seccomp_data, nr)),
        jump(BPF_JGE, last + 1, 0, 3),
        jump(BPF_JEQ, SKIPPED, 0, 1),
        answer(Answer::Allow),
        answer(Answer::Refuse(libc::ENOSYS)),
    ];
    program.extend(search(&stretches(&rules)));
    program
}

/// Numbers that follow each other and have the same answer, from the first one to the next stretch.
struct Stretch {
    first: u32,
    body: Vec<sock_filter>,
}

/// Neighbours with the same answer are put together: the kernel's work at the installation grows with
/// the program.
fn stretches(rules: &[Rule]) -> Vec<Stretch> {
    let allowed = |first| Stretch { first, body: vec![answer(Answer::Allow)] };
    let mut stretches = vec![allowed(0)];
    for rule in rules {
        // Nothing is between two that follow each other.
        stretches.pop_if(|last| last.first == rule.number);
        stretches.push(Stretch { first: rule.number, body: judge(rule) });
        stretches.push(allowed(rule.number + 1));
    }
    stretches.dedup_by(|later, earlier| later.body == earlier.body);
    stretches
}

fn search(stretches: &[Stretch]) -> Vec<sock_filter> {
    match stretches {
        [] => vec![answer(Answer::Allow)],
        [one] => one.body.clone(),
        _ => {
            let (low, high) = stretches.split_at(stretches.len() / 2);
            let below = search(low);
            let mut both = fork(high[0].first, below.len());
            both.extend(below);
            both.extend(search(high));
            both
        }
    }
}

/// Goes `below` instructions on from `pivot` upwards, which may be further than a condition reaches.
fn fork(pivot: u32, below: usize) -> Vec<sock_filter> {
    if below <= usize::from(u8::MAX) {
        return vec![jump(BPF_JGE, pivot, below, 0)];
    }
    vec![jump(BPF_JGE, pivot, 0, 1), instruction(BPF_JMP | BPF_JA, 0, 0, below as u32)]
}

/// Loads, compares with each value, and then the answers: first that of all others.
fn judge(rule: &Rule) -> Vec<sock_filter> {
    let Some(Look { argument, mask, values }) = &rule.look else { return vec![answer(rule.otherwise)] };
    let mut answers = vec![rule.otherwise];
    // Both architectures store the low half of an argument first.
    let mut body = vec![load(offset_of!(seccomp_data, args) + argument * size_of::<u64>())];
    if *mask != u32::MAX {
        body.push(instruction(BPF_ALU | BPF_AND | BPF_K, 0, 0, *mask));
    }
    for (index, (value, wanted)) in values.iter().enumerate() {
        let place = answers.iter().position(|known| known == wanted).unwrap_or_else(|| {
            answers.push(*wanted);
            answers.len() - 1
        });
        body.push(jump(BPF_JEQ, *value, values.len() - 1 - index + place, 0));
    }
    body.extend(answers.into_iter().map(answer));
    body
}

fn load(offset: usize) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset as u32)
}

/// Goes `then` instructions on if the comparison holds, `otherwise` if it does not.
fn jump(comparison: u32, with: u32, then: usize, otherwise: usize) -> sock_filter {
    instruction(BPF_JMP | comparison | BPF_K, then, otherwise, with)
}

fn answer(answer: Answer) -> sock_filter {
    stop(match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::Refuse(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        Answer::Ask => libc::SECCOMP_RET_USER_NOTIF,
    })
}

fn stop(action: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, 0, action)
}

fn instruction(code: u32, then: usize, otherwise: usize, k: u32) -> sock_filter {
    // `fork` takes care of what is far; a rule has a handful of values.
    sock_filter { code: code as u16, jt: then as u8, jf: otherwise as u8, k }
}

#[cfg(test)]
mod tests {
    use libc::{EACCES, EPERM};

    use super::*;

    const LAST: u32 = 400;

    /// What the program must come to, in plain words.
    fn wanted(rules: &[Rule], number: u32, arguments: [u64; 6]) -> Answer {
        if number > LAST && number != SKIPPED {
            return Answer::Refuse(libc::ENOSYS);
        }
        let Some(rule) = rules.iter().find(|rule| rule.number == number) else { return Answer::Allow };
        let Some(look) = &rule.look else { return rule.otherwise };
        let masked = arguments[look.argument] as u32 & look.mask;
        look.values.iter().find(|(value, _)| *value == masked).map_or(rule.otherwise, |(_, answer)| *answer)
    }

    /// The same numbers in every run (xorshift64).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % end
        }

        fn answer(&mut self) -> Answer {
            let answers = [Answer::Allow, Answer::Refuse(EPERM), Answer::Refuse(EACCES), Answer::Ask];
            answers[self.below(4) as usize]
        }

        fn rule(&mut self, number: c_long) -> Rule {
            let argument = self.below(6) as usize;
            let answer = self.answer();
            match self.below(4) {
                0 => Rule::by_value(number, argument, (0..5).map(|v| (v, self.answer())), answer),
                1 => Rule::if_bits(number, argument, 0b101, self.below(6) as u32 & 0b101, answer),
                _ => Rule::always(number, answer),
            }
        }
    }

    #[test]
    fn answers_what_the_rules_say() {
        for seed in 1..60 {
            let mut numbers = Numbers(seed);
            // From hardly any to nearly all, so that the longest jumps occur.
            let mut rules = Vec::new();
            for number in 0..=LAST {
                if numbers.below(60) <= seed {
                    rules.push(numbers.rule(number.into()));
                }
            }
            let run = Run::of(build(rules.clone(), LAST));
            for number in (0..LAST + 10).chain([LAST_NATIVE, LAST_NATIVE + 1, SKIPPED - 1, SKIPPED]) {
                for _ in 0..6 {
                    // The kernel looks at the low half of an int.
                    let arguments = [(); 6].map(|()| numbers.below(7) | numbers.below(2) << 40);
                    assert_eq!(
                        run.answer(number, arguments),
                        wanted(&rules, number, arguments),
                        "seed {seed}, call {number}"
                    );
                }
            }
        }
    }

    #[test]
    fn kills_foreign_architectures() {
        let run = Run::of(build(vec![Rule::always(41, Answer::Refuse(EPERM))], LAST_NATIVE));
        // i386, ARM, and numbers that mean something else there.
        for architecture in [0x4000_0003, 0x4000_0028, 0, !ARCHITECTURE] {
            for call in [0, 41, 102, 359, SKIPPED] {
                assert_eq!(run.action(architecture, call, [0; 6]), KILLED);
            }
        }
    }
}
