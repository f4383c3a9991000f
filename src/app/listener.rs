//! The port: taken at once, opened when there is something to say.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};

use super::AppError;
use settings::Http;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 2_048;

/// A port that is ours, but not open yet: whoever connects is refused.
pub struct Reserved {
    socket: Socket,
    address: SocketAddr,
}

/// An open port.
pub struct Door(Socket);

impl Door {
    /// From now on whoever connects is refused; connections that were accepted stay.
    pub fn close(&self) {
        // Where it is closed already, there is nothing to do.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Reserved {
    /// Takes the configured port.
    ///
    /// # Errors
    ///
    /// [`AppError::Listen`] with what is wrong and what helps.
    pub fn take(http: &Http) -> Result<Self, AppError> {
        let named = if http.host.contains(':') {
            format!("[{}]:{}", http.host, http.port)
        } else {
            format!("{}:{}", http.host, http.port)
        };
        Self::bind(http).map_err(|error| {
            let reason = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    "the port is in use by another program: stop it, or set PORT".to_owned()
                }
                io::ErrorKind::PermissionDenied => {
                    "this user may not open that port: set PORT to one above 1023".to_owned()
                }
                io::ErrorKind::AddrNotAvailable => {
                    "this machine does not have that address: set HOST".to_owned()
                }
                _ => error.to_string(),
            };
            AppError::Listen {
                address: named,
                reason,
            }
        })
    }

    fn bind(http: &Http) -> io::Result<Self> {
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "HOST has no address");
        let address = (http.host.as_str(), http.port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(unknown)?;
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // A restart takes the port again while the kernel still remembers old connections.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        let address = socket.local_addr()?.as_socket().ok_or_else(unknown)?;
        Ok(Self { socket, address })
    }

    /// Where it will listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What accepts connections once the port is open.
    ///
    /// # Errors
    ///
    /// [`AppError::Listen`] where the system has no handle left.
    pub fn listener(&self) -> Result<TcpListener, AppError> {
        let copy = self.socket.try_clone();
        let copy = copy.map_err(|error| self.failed(&error))?;
        Ok(copy.into())
    }

    /// Opens the port. The door closes it again, whoever accepts connections meanwhile.
    ///
    /// # Errors
    ///
    /// [`AppError::Listen`] where another program was faster.
    pub fn open(&self) -> Result<Door, AppError> {
        let opened = self.socket.listen(BACKLOG);
        let door = opened.and_then(|()| self.socket.try_clone());
        door.map(Door).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> AppError {
        AppError::Listen {
            address: self.address.to_string(),
            reason: error.to_string(),
        }
    }
}
