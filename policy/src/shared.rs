//! Hosts at which anyone can have a place of their own: allowing all of such a host allows sending
//! anything to anyone. The list is for advice and is not complete.

/// What strangers can do at a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Repositories, gists and issues of anyone.
    Git,
    /// Texts that anyone may post.
    Paste,
    /// Objects in buckets of anyone.
    Storage,
    /// Programs and pages of anyone, or tunnels to their machines.
    Hosting,
    /// Messages to channels of anyone.
    Messages,
    /// Names of anyone, asked over an encrypted connection that hides them.
    Resolver,
}

impl Sharing {
    /// The words for advice.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Sharing::Git => "anyone can have a repository there and be pushed to",
            Sharing::Paste => "anyone can post texts there",
            Sharing::Storage => "anyone can have a bucket there and be uploaded to",
            Sharing::Hosting => "anyone can run a program or a tunnel there",
            Sharing::Messages => "anyone can receive messages there",
            Sharing::Resolver => "it answers DNS over HTTPS or TLS, which passes by the filter on names",
        }
    }
}

/// Host patterns and what they share.
pub(crate) const SHARED: &[(&str, Sharing)] = &[
    ("github.com", Sharing::Git),
    ("api.github.com", Sharing::Git),
    ("uploads.github.com", Sharing::Git),
    ("gist.github.com", Sharing::Git),
    ("raw.githubusercontent.com", Sharing::Git),
    ("gist.githubusercontent.com", Sharing::Git),
    ("gitlab.com", Sharing::Git),
    ("bitbucket.org", Sharing::Git),
    ("api.bitbucket.org", Sharing::Git),
    ("codeberg.org", Sharing::Git),
    ("gitea.com", Sharing::Git),
    ("git.sr.ht", Sharing::Git),
    ("huggingface.co", Sharing::Git),
    ("pastebin.com", Sharing::Paste),
    ("paste.rs", Sharing::Paste),
    ("dpaste.org", Sharing::Paste),
    ("dpaste.com", Sharing::Paste),
    ("termbin.com", Sharing::Paste),
    ("ix.io", Sharing::Paste),
    ("0x0.st", Sharing::Paste),
    ("transfer.sh", Sharing::Paste),
    ("file.io", Sharing::Paste),
    ("rentry.co", Sharing::Paste),
    ("**.amazonaws.com", Sharing::Storage),
    ("storage.googleapis.com", Sharing::Storage),
    ("*.storage.googleapis.com", Sharing::Storage),
    ("firebasestorage.googleapis.com", Sharing::Storage),
    ("**.core.windows.net", Sharing::Storage),
    ("**.r2.cloudflarestorage.com", Sharing::Storage),
    ("**.r2.dev", Sharing::Storage),
    ("**.digitaloceanspaces.com", Sharing::Storage),
    ("**.backblazeb2.com", Sharing::Storage),
    ("**.wasabisys.com", Sharing::Storage),
    ("**.aliyuncs.com", Sharing::Storage),
    ("content.dropboxapi.com", Sharing::Storage),
    ("*.cloudfront.net", Sharing::Hosting),
    ("*.github.io", Sharing::Hosting),
    ("*.gitlab.io", Sharing::Hosting),
    ("**.workers.dev", Sharing::Hosting),
    ("**.pages.dev", Sharing::Hosting),
    ("*.trycloudflare.com", Sharing::Hosting),
    ("**.vercel.app", Sharing::Hosting),
    ("**.netlify.app", Sharing::Hosting),
    ("**.herokuapp.com", Sharing::Hosting),
    ("**.fly.dev", Sharing::Hosting),
    ("**.onrender.com", Sharing::Hosting),
    ("**.azurewebsites.net", Sharing::Hosting),
    ("**.azureedge.net", Sharing::Hosting),
    ("**.run.app", Sharing::Hosting),
    ("**.appspot.com", Sharing::Hosting),
    ("**.web.app", Sharing::Hosting),
    ("**.firebaseio.com", Sharing::Hosting),
    ("**.ngrok.io", Sharing::Hosting),
    ("**.ngrok.app", Sharing::Hosting),
    ("**.ngrok-free.app", Sharing::Hosting),
    ("*.loca.lt", Sharing::Hosting),
    ("webhook.site", Sharing::Messages),
    ("**.pipedream.net", Sharing::Messages),
    ("**.oast.fun", Sharing::Messages),
    ("**.oastify.com", Sharing::Messages),
    ("hooks.slack.com", Sharing::Messages),
    ("slack.com", Sharing::Messages),
    ("discord.com", Sharing::Messages),
    ("api.telegram.org", Sharing::Messages),
    ("ntfy.sh", Sharing::Messages),
    ("dns.google", Sharing::Resolver),
    ("cloudflare-dns.com", Sharing::Resolver),
    ("one.one.one.one", Sharing::Resolver),
    ("**.quad9.net", Sharing::Resolver),
    ("dns.adguard-dns.com", Sharing::Resolver),
    ("doh.opendns.com", Sharing::Resolver),
    ("**.nextdns.io", Sharing::Resolver),
    ("mozilla.cloudflare-dns.com", Sharing::Resolver),
];
