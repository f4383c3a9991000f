mod client;
mod figures;
mod ledger;
