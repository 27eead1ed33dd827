/// An integer that follows from the shapes of a call: `16`, `x.size`, `x.shape[-1]`, `ceildiv(y.shape[0], 8) * 32`.
///
/// Names are those of parameters and outputs: `x.size` is the number of elements, `x.rank` that of dimensions and
/// `x.shape[i]` one of these, counted from the end if `i` is negative. A name alone is a constant that is an integer.
/// There are `+ - * / %` with `/` rounding down, parentheses, `min`, `max` and `ceildiv`.
public struct Extent: Sendable, Hashable, CustomStringConvertible {
    public let text: String
    private let root: Node

    /// What names stand for.
    public struct Scope: Sendable {
        public var types: [String: TensorType]
        public var integers: [String: Int]

        public init(types: [String: TensorType] = [:], integers: [String: Int] = [:]) {
            self.types = types
            self.integers = integers
        }
    }

    fileprivate indirect enum Node: Sendable, Hashable {
        case number(Int)
        case integer(String)
        case size(String)
        case rank(String)
        case shape(String, Node)
        case apply(String, Node, Node)
    }

    public init(_ number: Int) { (text, root) = (String(number), .number(number)) }

    /// Reads an expression; `invalidArgument` where it is none.
    public init(parsing text: String) throws {
        self.text = text
        var reader = Reader(text)
        root = try reader.whole()
    }

    public var description: String { text }

    /// The names it needs, each once.
    public var names: Set<String> { Extent.names(root) }

    /// The number; `invalidArgument` for a name that stands for nothing, a dimension not known or not there, a division
    /// by zero, or a result that no integer holds.
    public func value(in scope: Scope) throws -> Int { try number(root, scope) }

    /// The number as a dimension.
    func size(in scope: Scope) throws -> Int {
        let value = try value(in: scope)
        guard value >= 0 else { throw failure("is \(value), which is no size") }
        return value
    }

    private static func names(_ node: Node) -> Set<String> {
        switch node {
        case .number: []
        case .integer(let name), .size(let name), .rank(let name): [name]
        case .shape(let name, let index): names(index).union([name])
        case .apply(_, let a, let b): names(a).union(names(b))
        }
    }

    private func failure(_ what: String) -> Failure { Failure(.invalidArgument, "'\(text)' \(what).") }

    private func number(_ node: Node, _ scope: Scope) throws -> Int {
        switch node {
        case .number(let value): return value
        case .integer(let name):
            guard let value = scope.integers[name] else {
                throw failure(
                    "needs an integer '\(name)', and there is none; write '\(name).size' for its elements")
            }
            return value
        case .size(let name): return try type(name, scope).shape.reduce(1) { try combine("*", $0, $1) }
        case .rank(let name): return try type(name, scope).rank
        case .shape(let name, let index):
            let (shape, index) = (try type(name, scope).shape, try number(index, scope))
            let place = index < 0 ? index &+ shape.count : index
            guard shape.indices.contains(place) else {
                throw failure("asks for dimension \(index) of '\(name)', whose shape is \(shape)")
            }
            return shape[place]
        case .apply(let name, let a, let b): return try combine(name, number(a, scope), number(b, scope))
        }
    }

    private func type(_ name: String, _ scope: Scope) throws -> TensorType {
        guard let type = scope.types[name] else {
            let known = scope.types.keys.sorted().joined(separator: ", ")
            throw failure("names '\(name)', which is no tensor here; there are \(known)")
        }
        guard type.isFixed else { throw failure("needs the shape of '\(name)', which is not known yet") }
        return type
    }

    private func combine(_ name: String, _ a: Int, _ b: Int) throws -> Int {
        guard !["/", "%", "ceildiv"].contains(name) || b != 0 else { throw failure("divides by zero") }
        let (value, overflow): (Int, Bool)
        switch name {
        case "+": (value, overflow) = a.addingReportingOverflow(b)
        case "-": (value, overflow) = a.subtractingReportingOverflow(b)
        case "*": (value, overflow) = a.multipliedReportingOverflow(by: b)
        case "min": (value, overflow) = (min(a, b), false)
        case "max": (value, overflow) = (max(a, b), false)
        default:
            let (quotient, tooLarge) = a.dividedReportingOverflow(by: b)
            guard !tooLarge else { throw failure("is larger than a number can be") }
            let rest = a % b
            let isBelow = rest != 0 && (rest < 0) != (b < 0)
            switch name {
            case "%": return isBelow ? rest + b : rest
            case "/": return isBelow ? quotient - 1 : quotient
            default: return rest != 0 && !isBelow ? quotient + 1 : quotient
            }
        }
        guard !overflow else { throw failure("is larger than a number can be") }
        return value
    }
}

/// Reads an expression by recursive descent.
private struct Reader {
    private let text: String
    private var tokens: [String] = []
    private var next = 0
    private var depth = 0

    init(_ text: String) {
        self.text = text
        var word = ""
        for scalar in text.unicodeScalars {
            let byte = UInt8(truncatingIfNeeded: scalar.value)
            if scalar.isASCII, Lexer.continuesName(byte) {
                word.unicodeScalars.append(scalar)
                continue
            }
            if !word.isEmpty { tokens.append(word) }
            word = ""
            // `//` is `/`: both round down.
            if scalar == "/", tokens.last == "/" { continue }
            if scalar != " " { tokens.append(String(scalar)) }
        }
        if !word.isEmpty { tokens.append(word) }
    }

    mutating func whole() throws -> Extent.Node {
        let node = try sum()
        guard next == tokens.count else { throw failure("'\(tokens[next])'") }
        return node
    }

    private func failure(_ what: String) -> Failure {
        Failure(
            .invalidArgument,
            "'\(text)' has \(what) where it must not; write such as 'x.size', 'x.shape[0]' or 'ceildiv(x.size, 4)'.")
    }

    private mutating func take(_ token: String) -> Bool {
        guard next < tokens.count, tokens[next] == token else { return false }
        next += 1
        return true
    }

    private mutating func expect(_ token: String) throws {
        guard take(token) else { throw failure(next < tokens.count ? "'\(tokens[next])'" : "its end") }
    }

    private mutating func sum() throws -> Extent.Node {
        var node = try product()
        while next < tokens.count, ["+", "-"].contains(tokens[next]) {
            next += 1
            node = .apply(tokens[next - 1], node, try product())
        }
        return node
    }

    private mutating func product() throws -> Extent.Node {
        var node = try factor()
        while next < tokens.count, ["*", "/", "%"].contains(tokens[next]) {
            next += 1
            node = .apply(tokens[next - 1], node, try factor())
        }
        return node
    }

    private mutating func factor() throws -> Extent.Node {
        depth += 1
        defer { depth -= 1 }
        guard depth < 64 else { throw failure("more parentheses than make sense") }
        if take("-") { return .apply("-", .number(0), try factor()) }
        if take("(") {
            let node = try sum()
            try expect(")")
            return node
        }
        guard next < tokens.count else { throw failure("its end") }
        let word = tokens[next]
        next += 1
        if let number = Int(word) { return .number(number) }
        guard let first = word.utf8.first, Lexer.startsName(first) else { throw failure("'\(word)'") }
        return try named(word)
    }

    private mutating func named(_ word: String) throws -> Extent.Node {
        if ["min", "max", "ceildiv"].contains(word), take("(") {
            let a = try sum()
            try expect(",")
            let b = try sum()
            try expect(")")
            return .apply(word, a, b)
        }
        guard take(".") else { return .integer(word) }
        if take("size") { return .size(word) }
        if take("rank") { return .rank(word) }
        try expect("shape")
        try expect("[")
        let index = try sum()
        try expect("]")
        return .shape(word, index)
    }
}
