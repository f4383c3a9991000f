mod client;
mod events;
mod family;
mod figures;
mod ledger;
mod rush;
