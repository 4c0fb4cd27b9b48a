//! A layer as one async function, without the boilerplate of tower's futures.

use std::{
    convert::Infallible,
    future::Future,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::status::Error;

pub(crate) type Request = http::Request<Body>;
pub(crate) type Response = http::Response<Body>;

/// The services that a middleware may stand before.
pub(crate) trait Inner: Send + 'static {
    /// Lets the request through.
    fn answer(&mut self, request: Request) -> impl Future<Output = Response> + Send;
}

/// A service that was polled ready.
struct Ready<S>(S);

impl<S> Inner for Ready<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    async fn answer(&mut self, request: Request) -> Response {
        match self.0.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// One step that every call goes through.
pub(crate) trait Middleware: Clone + Send + Sync + 'static {
    /// Answers the request, by `inner` or instead of it.
    fn handle<S: Inner>(&self, request: Request, inner: S)
    -> impl Future<Output = Response> + Send;
}

/// Answers a call with a failure: a proper trailers-only gRPC response.
pub(crate) fn refuse(error: Error) -> Response {
    tonic::Status::from(error).into_http()
}

/// A [`Middleware`] as a tower layer.
#[derive(Debug, Clone)]
pub(crate) struct Step<M>(pub(crate) M);

impl<M: Clone, S> Layer<S> for Step<M> {
    type Service = Stepped<M, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Stepped {
            step: self.0.clone(),
            inner,
        }
    }
}

/// A service behind a [`Middleware`].
#[derive(Debug, Clone)]
pub(crate) struct Stepped<M, S> {
    step: M,
    inner: S,
}

impl<M, S> Service<Request> for Stepped<M, S>
where
    M: Middleware,
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let step = self.step.clone();
        // The clone is not ready; the one that was polled is.
        let clone = self.inner.clone();
        let inner = Ready(std::mem::replace(&mut self.inner, clone));
        Box::pin(async move { Ok(step.handle(request, inner).await) })
    }
}
