//! Builds the tree of a template from its pieces.

use serde_json::Value;

use crate::{
    Error, functions,
    lexer::{Piece, Token},
};

/// Deeper nesting than this is no template that a person wrote.
const DEEPEST: usize = 64;

/// A step of a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Print(Pipeline),
    Set(String, Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range(Loop, Vec<Node>, Vec<Node>),
}

/// The head of a `range`: what is walked and the names given to key and element.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loop {
    pub(crate) names: Vec<String>,
    pub(crate) over: Pipeline,
}

/// Commands, each fed with the result of the one before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pipeline(pub(crate) Vec<Vec<Operand>>);

/// A part of a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Literal(Value),
    Function(String),
    Group(Pipeline, Vec<String>),
}

/// Parses the whole template.
pub(crate) fn parse(pieces: Vec<Piece>) -> Result<Vec<Node>, Error> {
    let mut parser = Parser {
        pieces: pieces.into_iter(),
        depth: 0,
    };
    match parser.block()? {
        (nodes, End::Template) => Ok(nodes),
        (_, End::Block) => Err(Error::Syntax("unexpected {{end}}".into())),
        (_, End::Else(_)) => Err(Error::Syntax("unexpected {{else}}".into())),
    }
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
}

/// What ended a block.
enum End {
    Template,
    Block,
    /// With the words after `else`, such as `if …`.
    Else(Vec<Token>),
}

impl Parser {
    fn block(&mut self) -> Result<(Vec<Node>, End), Error> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let tokens = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens) => tokens,
            };
            match keyword(&tokens) {
                "end" => return Ok((nodes, End::Block)),
                "else" => return Ok((nodes, End::Else(tokens.into_iter().skip(1).collect()))),
                _ => nodes.push(self.node(tokens)?),
            }
        }
        Ok((nodes, End::Template))
    }

    fn node(&mut self, tokens: Vec<Token>) -> Result<Node, Error> {
        match keyword(&tokens) {
            "if" => self.branch(after(tokens), Node::If),
            "with" => self.branch(after(tokens), Node::With),
            "range" => {
                let head = loop_head(after(tokens))?;
                let (then, other) = self.bodies()?;
                Ok(Node::Range(head, then, other))
            }
            _ => statement(tokens),
        }
    }

    fn branch(
        &mut self,
        head: Vec<Token>,
        make: fn(Pipeline, Vec<Node>, Vec<Node>) -> Node,
    ) -> Result<Node, Error> {
        let head = pipeline(head)?;
        let (then, other) = self.bodies()?;
        Ok(make(head, then, other))
    }

    /// Parses a body and its alternative; `else if` is an alternative of one nested `if`.
    fn bodies(&mut self) -> Result<(Vec<Node>, Vec<Node>), Error> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Error::Syntax("nested too deeply".into()));
        }
        let bodies = match self.block()? {
            (then, End::Block) => (then, Vec::new()),
            (then, End::Else(more)) if more.is_empty() => match self.block()? {
                (other, End::Block) => (then, other),
                _ => return Err(Error::Syntax("unexpected EOF".into())),
            },
            (then, End::Else(more)) => (then, vec![self.node(more)?]),
            (_, End::Template) => return Err(Error::Syntax("unexpected EOF".into())),
        };
        self.depth -= 1;
        Ok(bodies)
    }
}

fn keyword(tokens: &[Token]) -> &str {
    match tokens.first() {
        Some(Token::Word(word)) => word,
        _ => "",
    }
}

fn after(tokens: Vec<Token>) -> Vec<Token> {
    tokens.into_iter().skip(1).collect()
}

fn statement(tokens: Vec<Token>) -> Result<Node, Error> {
    match tokens.as_slice() {
        [
            Token::Variable(name, fields),
            Token::Declare | Token::Assign,
            ..,
        ] if fields.is_empty() => {
            let name = name.clone();
            Ok(Node::Set(
                name,
                pipeline(tokens.into_iter().skip(2).collect())?,
            ))
        }
        _ => Ok(Node::Print(pipeline(tokens)?)),
    }
}

fn loop_head(tokens: Vec<Token>) -> Result<Loop, Error> {
    let Some(at) = tokens.iter().position(|token| *token == Token::Declare) else {
        return Ok(Loop {
            names: Vec::new(),
            over: pipeline(tokens)?,
        });
    };
    let mut names = Vec::new();
    let mut tokens = tokens.into_iter();
    for token in tokens.by_ref().take(at) {
        match token {
            Token::Variable(name, _) => names.push(name),
            Token::Comma => {}
            _ => return Err(Error::Syntax("unexpected word in range".into())),
        }
    }
    Ok(Loop {
        names,
        over: pipeline(tokens.skip(1).collect())?,
    })
}

fn pipeline(tokens: Vec<Token>) -> Result<Pipeline, Error> {
    let mut tokens = tokens.into_iter();
    match pipe(&mut tokens, 0)? {
        (pipeline, None) => Ok(pipeline),
        (_, Some(_)) => Err(Error::Syntax("unexpected right paren".into())),
    }
}

/// Reads commands until the tokens, or the parenthesis, end; gives the fields taken of the parenthesis.
fn pipe(
    tokens: &mut std::vec::IntoIter<Token>,
    depth: usize,
) -> Result<(Pipeline, Option<Vec<String>>), Error> {
    if depth > DEEPEST {
        return Err(Error::Syntax("nested too deeply".into()));
    }
    let mut commands = vec![Vec::new()];
    let mut closed = None;
    while let Some(token) = tokens.next() {
        let operand = match token {
            Token::Close(fields) => {
                closed = Some(fields);
                break;
            }
            Token::Pipe => {
                commands.push(Vec::new());
                continue;
            }
            Token::Open => match pipe(tokens, depth + 1)? {
                (inner, Some(fields)) => Operand::Group(inner, fields),
                (_, None) => return Err(Error::Syntax("unclosed left paren".into())),
            },
            other => operand(other)?,
        };
        if let Some(command) = commands.last_mut() {
            command.push(operand);
        }
    }
    match commands.iter().any(Vec::is_empty) {
        true => Err(Error::Syntax("missing value for command".into())),
        false => Ok((Pipeline(commands), closed)),
    }
}

fn operand(token: Token) -> Result<Operand, Error> {
    match token {
        Token::Field(names) => Ok(Operand::Field(names)),
        Token::Variable(name, fields) => Ok(Operand::Variable(name, fields)),
        Token::Text(text) => Ok(Operand::Literal(Value::String(text))),
        Token::Number(number) => Ok(Operand::Literal(Value::Number(number))),
        Token::Word(word) => match word.as_str() {
            "true" => Ok(Operand::Literal(Value::Bool(true))),
            "false" => Ok(Operand::Literal(Value::Bool(false))),
            "nil" => Ok(Operand::Literal(Value::Null)),
            name if functions::known(name) => Ok(Operand::Function(word)),
            name => Err(Error::Syntax(format!("function {name:?} not defined"))),
        },
        Token::Pipe
        | Token::Comma
        | Token::Declare
        | Token::Assign
        | Token::Open
        | Token::Close(_) => Err(Error::Syntax("unexpected word in operand".into())),
    }
}
