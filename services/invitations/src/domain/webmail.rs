//! Hosts where anybody gets an address for free: webmail, relays that hide an address, and throw-away addresses. No
//! published crate has this data: most list throw-away addresses alone, and `email_provider_validator` 0.1.3 fetches its
//! list when it is built, and counts a university (`nus.edu.sg`) among the free hosts. So the well-known ones are listed
//! here; a missing one is one line to add.

/// Registrable domains, sorted.
#[rustfmt::skip]
const HOSTS: [&str; 157] = [
    "10minutemail.com", "126.com", "139.com", "163.com", "aim.com", "aleeas.com", "alice.it",
    "aliyun.com", "anonaddy.com", "aol.com", "appleid.com", "arcor.de", "att.net",
    "bellsouth.net", "bigpond.com", "bk.ru", "bluewin.ch", "bol.com.br", "btinternet.com",
    "centrum.cz", "charter.net", "comcast.net", "consultant.com", "cox.net", "daum.net",
    "dispostable.com", "disroot.org", "docomo.ne.jp", "duck.com", "earthlink.net", "email.com",
    "email.cz", "engineer.com", "europe.com", "excite.com", "ezweb.ne.jp", "fastmail.com",
    "fastmail.fm", "foxmail.com", "free.fr", "freenet.de", "gawab.com", "getnada.com",
    "gmail.com", "googlemail.com", "guerrillamail.com", "hanmail.net", "hey.com", "hush.com",
    "hushmail.com", "i.ua", "icloud.com", "ig.com.br", "inbox.com", "inbox.lv", "inbox.ru",
    "interia.pl", "internet.ru", "juno.com", "keemail.me", "laposte.net", "libero.it", "list.ru",
    "live.ca", "live.co.uk", "live.com", "live.com.au", "live.com.mx", "live.de", "live.fr",
    "live.it", "live.jp", "live.nl", "love.com", "lycos.com", "mac.com", "mail.com", "mail.ru",
    "mailbox.org", "maildrop.cc", "mailinator.com", "maktoob.com", "me.com", "mozmail.com",
    "msn.com", "myyahoo.com", "nate.com", "naver.com", "netzero.net", "ntlworld.com", "o2.pl",
    "onet.pl", "optonline.net", "optusnet.com.au", "orange.fr",
    "passinbox.com", "passmail.net", "passport.com", "pm.me", "post.com", "post.cz", "posteo.de",
    "proton.me", "protonmail.ch", "protonmail.com", "qq.com", "rambler.ru", "rediffmail.com",
    "riseup.net", "rocketmail.com", "rogers.com", "runbox.com", "sbcglobal.net", "seznam.cz",
    "sfr.fr", "sharklasers.com", "shaw.ca", "sify.com", "simplelogin.com", "sina.cn", "sina.com",
    "sky.com", "slmails.com", "sohu.com", "startmail.com", "sympatico.ca", "t-online.de",
    "talktalk.net", "temp-mail.org", "terra.com.br", "tiscali.it", "tlen.pl", "trashmail.com",
    "tuta.com", "tuta.io", "tutamail.com", "tutanota.com", "tutanota.de", "ukr.net", "uol.com.br",
    "usa.com", "verizon.net", "virgilio.it", "virginmedia.com", "walla.co.il", "walla.com",
    "wanadoo.fr", "web.de", "windowslive.com", "wp.pl", "xtra.co.nz", "ya.ru", "yeah.net",
    "yopmail.com", "zoho.com", "zohomail.com", "zohomail.eu",
];

/// Names that their owner registers under many countries' suffixes.
const HOSTS_OF_ANY_COUNTRY: [&str; 6] = ["gmx", "hotmail", "outlook", "yahoo", "yandex", "ymail"];

/// Returns true if the registrable `domain`, in small letters, is a free webmail host (B6).
pub(super) fn is_free_webmail(domain: &str) -> bool {
    let name = domain.split('.').next().unwrap_or(domain);
    HOSTS.binary_search(&domain).is_ok() || HOSTS_OF_ANY_COUNTRY.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_the_list_is_sorted_and_of_registrable_domains() {
        assert!(HOSTS.is_sorted());
        for host in HOSTS {
            assert_eq!(psl::domain_str(host), Some(host));
        }
    }

    #[test]
    fn b6_the_same_host_is_known_in_every_country() {
        for host in [
            "gmail.com",
            "yahoo.com",
            "yahoo.co.jp",
            "hotmail.fr",
            "gmx.de",
        ] {
            assert!(is_free_webmail(host), "{host}");
        }
        for host in [
            "hamiltonschools.org",
            "notgmail.com",
            "gmail.school.org",
            "live.edu",
        ] {
            assert!(!is_free_webmail(host), "{host}");
        }
    }
}
