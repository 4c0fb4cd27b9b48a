//! Calls whose messages are bytes.

use prost::bytes::{Buf as _, BufMut as _};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};

/// The number of polls for which a caller of a stream waits for its first message.
const STREAM_TURNS: u32 = 200;

/// Makes one call and returns its answer; of a stream, the first message, if one comes soon.
pub async fn call(
    channel: Channel,
    path: &str,
    request: Request<Vec<u8>>,
    streams: bool,
) -> Result<Vec<u8>, Status> {
    let path = path
        .parse()
        .map_err(|error| Status::internal(format!("{error}")))?;
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    if !streams {
        let answer = grpc.unary(request, path, Bytes).await?;
        return Ok(answer.into_inner());
    }
    let mut stream = grpc
        .server_streaming(request, path, Bytes)
        .await?
        .into_inner();
    tokio::select! {
        message = stream.message() => Ok(message?.unwrap_or_default()),
        () = turns(STREAM_TURNS) => Ok(Vec::new()),
    }
}

/// Waits until this task has been polled this many times.
pub async fn turns(turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
