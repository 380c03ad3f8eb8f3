//! Programs that ran and files that were watched. Pure.

use super::markup::Markup;
use crate::report::Summary;
use crate::report::figures::grouped;
use crate::report::observed::{SHOWN, left_out};

/// Tables of what the sensor told; nothing if nobody looked.
pub(super) fn add(page: &mut Markup, summary: &Summary) {
    executed(page, summary);
    files(page, summary);
    if summary.observed.missed() > 0 {
        let missed = grouped(summary.observed.missed());
        page.leaf("p", &[("class", &"muted")], format_args!("Calls that were not seen: {missed}"));
    }
}

fn executed(page: &mut Markup, summary: &Summary) {
    let rows = summary.observed.executed();
    if rows.is_empty() {
        return;
    }
    page.literal(
        "<section aria-labelledby=\"executed\">\n<h2 id=\"executed\">Programs that ran</h2>\n<div class=\"scroll\">\
         <table>\n<thead><tr><th scope=\"col\">Program</th><th scope=\"col\" class=\"number\">Ran</th>\
         <th scope=\"col\" class=\"number\">Failed</th><th scope=\"col\" class=\"number\">Unseen</th></tr></thead>\n<tbody>\n",
    );
    for row in rows.iter().take(SHOWN) {
        page.literal("<tr>");
        page.leaf("th", &[("scope", &"row"), ("class", &"host")], row.path);
        page.leaf("td", &[("data-label", &"Ran"), ("class", &"number")], grouped(row.ran));
        page.leaf("td", &[("data-label", &"Failed"), ("class", &"number")], grouped(row.failed));
        page.leaf("td", &[("data-label", &"Unseen"), ("class", &"number")], grouped(row.unseen));
        page.literal("</tr>\n");
    }
    end(page, rows.len());
}

fn files(page: &mut Markup, summary: &Summary) {
    let rows = summary.observed.files();
    if rows.is_empty() {
        return;
    }
    page.literal(
        "<section aria-labelledby=\"files\">\n<h2 id=\"files\">Files that were watched</h2>\n<div class=\"scroll\">\
         <table>\n<thead><tr><th scope=\"col\">File</th><th scope=\"col\">Use</th><th scope=\"col\">Program</th>\
         <th scope=\"col\" class=\"number\">Count</th></tr></thead>\n<tbody>\n",
    );
    for row in rows.iter().take(SHOWN) {
        page.literal("<tr>");
        page.leaf("th", &[("scope", &"row"), ("class", &"host")], row.path);
        page.leaf("td", &[("data-label", &"Use")], row.access);
        page.leaf("td", &[("data-label", &"Program"), ("class", &"host")], row.exe);
        page.leaf("td", &[("data-label", &"Count"), ("class", &"number")], grouped(row.count));
        page.literal("</tr>\n");
    }
    end(page, rows.len());
}

fn end(page: &mut Markup, rows: usize) {
    page.literal("</tbody></table></div>\n");
    if let Some(left) = left_out(rows) {
        page.leaf("p", &[("class", &"muted")], left);
    }
    page.literal("</section>\n");
}
