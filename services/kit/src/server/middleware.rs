//! Layers as async functions, without the boilerplate of tower's futures: all steps of a call are
//! one future.

use std::{
    convert::Infallible,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::status::Error;

pub(crate) type Request = http::Request<Body>;
pub(crate) type Response = http::Response<Body>;

/// The service behind a step.
pub(crate) trait Inner: Send {
    /// Passes the request on.
    fn answer(self, request: Request) -> impl Future<Output = Response> + Send;
}

/// A service that was polled ready.
struct Ready<S>(S);

impl<S> Inner for Ready<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send,
    S::Future: Send,
{
    async fn answer(mut self, request: Request) -> Response {
        match self.0.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// One step of every call.
pub(crate) trait Middleware: Send + Sync + Sized + 'static {
    /// Answers the request, by `inner` or in its place.
    fn handle<S: Inner>(&self, request: Request, inner: S)
    -> impl Future<Output = Response> + Send;

    /// Returns both steps as one, this one first.
    fn then<M: Middleware>(self, next: M) -> Then<Self, M> {
        Then { first: self, next }
    }
}

/// Two steps, the first around the second.
pub(crate) struct Then<A, B> {
    first: A,
    next: B,
}

impl<A: Middleware, B: Middleware> Middleware for Then<A, B> {
    fn handle<S: Inner>(
        &self,
        request: Request,
        inner: S,
    ) -> impl Future<Output = Response> + Send {
        let step = &self.next;
        self.first.handle(request, Behind { step, inner })
    }
}

/// A step and the service behind it.
struct Behind<'a, M, S> {
    step: &'a M,
    inner: S,
}

impl<M: Middleware, S: Inner> Inner for Behind<'_, M, S> {
    fn answer(self, request: Request) -> impl Future<Output = Response> + Send {
        self.step.handle(request, self.inner)
    }
}

/// Answers a call with a failure, as a trailers-only gRPC response.
pub(crate) fn refuse(error: Error) -> Response {
    tonic::Status::from(error).into_http()
}

/// A [`Middleware`] as a tower layer.
#[derive(Debug)]
pub(crate) struct Steps<M>(Arc<M>);

impl<M> Steps<M> {
    pub(crate) fn new(steps: M) -> Self {
        Self(Arc::new(steps))
    }
}

impl<M> Clone for Steps<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M, S> Layer<S> for Steps<M> {
    type Service = Stepped<M, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Stepped {
            steps: self.clone(),
            inner,
        }
    }
}

/// A service behind a [`Middleware`].
#[derive(Debug)]
pub(crate) struct Stepped<M, S> {
    steps: Steps<M>,
    inner: S,
}

impl<M, S: Clone> Clone for Stepped<M, S> {
    fn clone(&self) -> Self {
        Self {
            steps: self.steps.clone(),
            inner: self.inner.clone(),
        }
    }
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
        let Steps(steps) = self.steps.clone();
        // The clone is not ready; the one that was polled is.
        let clone = self.inner.clone();
        let inner = Ready(std::mem::replace(&mut self.inner, clone));
        Box::pin(async move { Ok(steps.handle(request, inner).await) })
    }
}
