//! Answers that hold a place among those under way.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::body::Body;

use super::middleware::Response;

/// The answer, which holds the place until its last byte has left or nobody wants it any more: what waits
/// for a reader who does not read is bounded by the places that there are.
pub(super) fn holding<P: Send + Sync + 'static>(response: Response, place: P) -> Response {
    response.map(|body| Body::new(HeldAnswer::new(body, place)))
}

pin_project! {
    /// An answer that holds a place until the last of its bytes has left.
    struct HeldAnswer<P> {
        #[pin]
        body: Body,
        // None once the answer has ended: then only bytes on their way hold the place.
        place: Option<Arc<P>>,
    }
}

impl<P> HeldAnswer<P> {
    fn new(body: Body, place: P) -> Self {
        Self {
            body,
            place: Some(Arc::new(place)),
        }
    }
}

/// Bytes that hold a place until they have left.
struct OnTheirWay<P> {
    bytes: Bytes,
    _place: Option<Arc<P>>,
}

impl<P> AsRef<[u8]> for OnTheirWay<P> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<P: Send + Sync + 'static> HttpBody for HeldAnswer<P> {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(context));
        let last = !matches!(&frame, Some(Ok(frame)) if frame.is_data());
        let place = if last {
            this.place.take()
        } else {
            this.place.clone()
        };
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|bytes| {
                    Bytes::from_owner(OnTheirWay {
                        bytes,
                        _place: place,
                    })
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    #[tokio::test]
    async fn a_place_is_held_until_the_bytes_of_the_answer_have_left() {
        let (place, held) = (Arc::new(()), Body::new(Full::new(Bytes::from("much"))));
        let holds = || Arc::strong_count(&place) > 1;
        let mut answer = HeldAnswer::new(held, Arc::clone(&place));
        let on_its_way = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(answer.frame().await.is_none());
        drop(answer);
        assert_eq!((on_its_way.as_ref(), holds()), (&b"much"[..], true));
        drop(on_its_way);
        assert!(!holds());
    }

    #[tokio::test]
    async fn who_has_the_last_of_an_answer_has_the_place_too() {
        let place = Arc::new(());
        let trailers = async { Some(Ok(HeaderMap::new())) };
        let body = Body::new(Full::new(Bytes::from("much")).with_trailers(trailers));
        let mut answer = HeldAnswer::new(body, Arc::clone(&place));
        drop(answer.frame().await.unwrap().unwrap().into_data().unwrap());
        assert_eq!(Arc::strong_count(&place), 2);
        assert!(answer.frame().await.unwrap().unwrap().is_trailers());
        assert_eq!(Arc::strong_count(&place), 1);
    }
}
