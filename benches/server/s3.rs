//! A local S3 server for the benchmarks, so that both sides upload to the same
//! endpoint: `s3_server DIR BUCKET` serves `DIR` on a free port of 127.0.0.1,
//! prints its address and runs until its stdin ends. The keys are `bench` and
//! `bench-secret`.

mod lean;

use std::{error::Error, io::Read, path::PathBuf};

use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(dir), Some(bucket)) = (args.next().map(PathBuf::from), args.next()) else {
        return Err("usage: s3_server DIR BUCKET".into());
    };
    std::fs::create_dir_all(dir.join(bucket))?;
    let mut service = S3ServiceBuilder::new(lean::Lean::new(dir)?);
    service.set_auth(SimpleAuth::from_single("bench", "bench-secret"));
    let service = service.build();

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    let mut owner = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _) = accepted?;
                socket.set_nodelay(true)?;
                let service = service.clone();
                tokio::spawn(async move {
                    // A client that goes away is no concern of a benchmark.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
            _ = &mut owner => return Ok(()),
        }
    }
}
