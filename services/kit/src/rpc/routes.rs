//! The table of a gRPC service's methods.

/// Implements a generated service: a row for each method. The service is a tuple struct whose first field is the
/// use cases; one with no other field is declared here. A row ends with the steps of its method:
///
/// - `get(parse, use_case)` reads the resource of the request's `name`.
/// - `list(parse, filter, use_case)` reads a page of the request's `parent`; `{ field }` is the answer's field of items.
/// - `change(parse, use_case)` makes a change once for its request id. `parse` takes the violations and the request (and
///   the time, as `parse(now)`), and returns the name and what is asked of it. Invitations names the rule first.
/// - `act(parse, use_case)` is a change of which the request holds only `name` and `etag`.
///
/// `{ field }` after a message wraps the result of `get`, `change` or `act`. A method without steps is one of the same
/// name on the struct, which takes the caller and the message of a call.
#[macro_export]
macro_rules! rpcs {
    ($service:ident for $visibility:vis struct $api:ident($field:vis $app:ty) { $($rows:tt)* }) => {
        #[doc = concat!("The handlers of `", stringify!($service), "`.")]
        #[derive(Debug, Clone)]
        $visibility struct $api($field $app);

        $crate::rpcs! { $service for $api { $($rows)* } }
    };
    ($service:ident for $api:ty {
        $($method:ident: $request:ty => $answer:ty $({ $field:ident })? $(= $kind:ident($($step:tt)*))?;)+
    }) => {
        #[::tonic::async_trait]
        impl $service for $api {
            $(
                async fn $method(
                    &self,
                    request: ::tonic::Request<$request>,
                ) -> ::std::result::Result<::tonic::Response<$answer>, ::tonic::Status> {
                    let caller = $crate::auth::Caller::of(&request)?;
                    let request = request.into_inner();
                    let answer: $answer = $crate::rpc!(
                        self caller request $answer [$($field)?] $method $($kind($($step)*))?
                    );
                    Ok(::tonic::Response::new(answer))
                }
            )+
        }
    };
}

/// Handles one method of [`rpcs!`].
#[doc(hidden)]
#[macro_export]
macro_rules! rpc {
    ($self:ident $caller:ident $request:ident $answer:ty [] $method:ident) => {
        Self::$method($self, &$caller, $request).await?
    };
    ($self:ident $caller:ident $request:ident $answer:ty [$($field:ident)?] $method:ident
        get($parse:expr, $use_case:expr)) => {{
        let name = $crate::rpc::name($parse(&$request.name))?;
        let found = $use_case(&$self.0, &$caller, name).await?;
        $crate::rpc!(@wrap $answer [$($field)?] found.into())
    }};
    ($self:ident $caller:ident $request:ident $answer:ty [$field:ident] $method:ident
        list($parse:expr, $filter:expr, $use_case:expr)) => {{
        type Answer = $answer;
        let parent = $crate::rpc::parent($parse(&$request.parent), $request.page_size)?;
        let filter = $filter(&$request.filter)?;
        let list = [$request.parent.as_str(), &$request.filter];
        let (size, token) = ($request.page_size, &$request.page_token);
        let page = $crate::rpc::page(&$self.0.paging, &$caller, list, size, token)?;
        let page = $use_case(&$self.0, &$caller, parent, filter, &page).await?;
        Answer {
            $field: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }
    }};
    ($self:ident $caller:ident $request:ident $answer:ty [$($field:ident)?] $method:ident
        change($parse:expr, $use_case:expr)) => {
        $crate::rpc!(@write $self $caller $request $answer [$($field)?] $use_case,
            |v| $parse(v, &$request))
    };
    ($self:ident $caller:ident $request:ident $answer:ty [$($field:ident)?] $method:ident
        act($parse:expr, $use_case:expr)) => {
        $crate::rpc!(@write $self $caller $request $answer [$($field)?] $use_case,
            |v| v.named($parse(&$request.name), &$request.etag))
    };
    ($self:ident $caller:ident $request:ident $answer:ty [$($field:ident)?] $method:ident
        change($rule:expr, $parse:ident(now), $use_case:expr)) => {
        $crate::rpc!(@change $self $caller $request $answer [$($field)?] $rule, $use_case,
            |v| $parse(v, &$request, $self.0.clock.now()))
    };
    ($self:ident $caller:ident $request:ident $answer:ty [$($field:ident)?] $method:ident
        change($rule:expr, $parse:expr, $use_case:expr)) => {
        $crate::rpc!(@change $self $caller $request $answer [$($field)?] $rule, $use_case,
            |v| $parse(v, &$request))
    };
    ($self:ident $caller:ident $request:ident $answer:ty [$($field:ident)?] $method:ident
        act($rule:expr, $parse:expr, $use_case:expr)) => {
        $crate::rpc!(@change $self $caller $request $answer [$($field)?] $rule, $use_case,
            |v| v.named($parse(&$request.name), &$request.etag))
    };
    (@write $self:ident $caller:ident $request:ident $answer:ty [$($field:ident)?]
        $use_case:expr, $parse:expr) => {{
        let (request_id, (name, asked)) = $crate::rpc::change(&$request.request_id, $parse)?;
        let made = $self.0.write(&$caller, request_id, &$request, move |change| {
            ::std::boxed::Box::pin(async move {
                let done = $use_case(change, name, asked).await?;
                Ok($crate::rpc!(@done $answer [$($field)?] done))
            })
        });
        made.await?
    }};
    (@change $self:ident $caller:ident $request:ident $answer:ty [$($field:ident)?]
        $rule:expr, $use_case:expr, $parse:expr) => {{
        let (request_id, (name, asked)) = $crate::rpc::change(&$request.request_id, $parse)?;
        let (place, once) = (::std::convert::From::from(&name), (request_id, &$request));
        let made = $self.0.change(&$caller, place, $rule, once, move |change| {
            ::std::boxed::Box::pin($use_case(change, name, asked))
        });
        $crate::rpc!(@wrap $answer [$($field)?] made.await?)
    }};
    // The answer to be stored is made of the result by the writer.
    (@done $answer:ty [] $done:expr) => {
        $done
    };
    (@done $answer:ty [$field:ident] $done:expr) => {
        $crate::rpc!(@wrap $answer [$field] $done.into())
    };
    (@wrap $answer:ty [] $result:expr) => {
        $result
    };
    (@wrap $answer:ty [$field:ident] $result:expr) => {{
        type Answer = $answer;
        Answer {
            $field: Some($result),
        }
    }};
}
