// The text form of programs: the syntax of the `model.mil` files in compiled Core ML models.
//
//     program   = "program" "(" version ")" [attributes] "{" {function} "}"
//     function  = "func" name ["<" opset ">"] "(" [input {"," input}] ")" [attributes] body [";"]
//     input     = type name
//     body      = "{" {statement} "}" "->" "(" [name {"," name}] ")"
//     statement = [output {"," output} "="] op "(" [argument {"," argument}] ")" [attributes] {block} ";"
//     output    = [type] name
//     argument  = name "=" (value | "(" [value {"," value}] ")")
//     block     = ["(" [input {"," input}] ")"] body
//     value     = name | literal | type "(" (literal | blob) ")"
//     literal   = number | "true" | "false" | string | "(" real "," imaginary ")" | "[" [literal {"," literal}] "]"
//     blob      = "BLOBFILE" "(" "path" "=" string "," "offset" "=" number ")"
//     type      = "tensor" "<" element "," "[" [size {"," size}] "]" ">" | element | "state" "<" type ">"
//               | "list" "<" type "," length ">" | "tuple" "<" types ">" | "dict" "<" type "," type ">"
//
// Attributes are `[name = value, …]`. A constant is `const()[val = …]`; the attributes of other operations are taken as
// arguments, except `name`, which may be left out as the outputs carry the names. Attributes of programs and functions
// are skipped, except `defaultFunction`. Beyond Core ML's own: types of outputs may be left out; a literal without a
// type takes it from the op's row; names that are no identifiers stand in backquotes; blocks of branches and loops
// follow the attributes of their operation. Integers of less than eight bits are read as int8 and uint8.

extension Program {
    /// Gives the constant of a type that stands at an offset of a file; the path is as written, `@model_path/…`.
    public typealias BlobReader = (_ path: String, _ offset: Int, _ type: TensorType) throws -> Tensor

    /// Reads program text. Whatever the text, the result is a program or a failure that names line and column.
    public init(text: String, blobs: BlobReader? = nil) throws {
        var parser = try Parser(text, blobs ?? Parser.refuse)
        self = try parser.program()
    }
}

extension Function {
    /// Reads the text of one function, `func … -> (…)`.
    public init(text: String, blobs: Program.BlobReader? = nil) throws {
        var parser = try Parser(text, blobs ?? Parser.refuse)
        self = try parser.parseFunction()
        try parser.expectEnd()
    }
}

/// Reads tokens one after the other; one method for each rule of the grammar.
struct Parser {
    private typealias Token = Lexer.Token

    private var lexer: Lexer
    private let blobs: Program.BlobReader
    private var token: Token
    private var following: Token
    private var depth = 0

    private var function = Function()
    /// Values by name, the innermost block last.
    private var scopes: [[String: ValueID]] = []
    /// Constants written inside an argument, which get their names when all others are known.
    private var unnamed: [(id: ValueID, base: String)] = []

    /// Nested blocks, types and lists end here, before the stack does.
    private static let deepest = 32

    static func refuse(_ path: String, _ offset: Int, _ type: TensorType) throws -> Tensor {
        throw Failure(.notFound, "The text refers to '\(path)' at \(offset), and there are no files beside it.")
    }

    init(_ text: String, _ blobs: @escaping Program.BlobReader) throws {
        lexer = Lexer(text)
        self.blobs = blobs
        token = try lexer.next()
        following = try lexer.next()
    }

    // MARK: Programs and functions

    mutating func program() throws -> Program {
        try expect(word: "program")
        try expect("(")
        guard token.kind == .number else { throw unexpected("the version, such as 1.0,") }
        try advance()
        try expect(")")
        let wanted = try skippedAttributes()["defaultFunction"]
        try expect("{")
        var functions: [Function] = []
        while !at("}") {
            let place = token
            let next = try parseFunction()
            guard !functions.contains(where: { $0.name == next.name }) else {
                throw failure(place, "There are two functions named '\(next.name)'.")
            }
            functions.append(next)
        }
        try expect("}")
        try expectEnd()
        return Program(functions: functions, defaultFunction: wanted ?? Program.usualDefault(functions))
    }

    mutating func parseFunction() throws -> Function {
        try expect(word: "func")
        function = Function(name: try name("the name of the function"))
        unnamed = []
        scopes = [[:]]
        if try accept("<") {
            let isQuoted = token.kind == .quotedName
            let opset = try name("an opset such as ios17")
            function.opset = isQuoted ? opset : Opset.byText[opset] ?? opset
            try expect(">")
        }
        let inputs = try parseInputs()
        _ = try skippedAttributes()
        let body = try parseBody()
        _ = try accept(";")
        function.block = Block(inputs: inputs, operations: body.operations, outputs: body.outputs)
        nameLiterals()
        return function
    }

    private mutating func parseInputs() throws -> [ValueID] {
        try expect("(")
        return try list(until: ")") { parser in
            let type = try parser.parseType()
            let place = parser.token
            return try parser.define(parser.name("the name of the input"), type, at: place)
        }
    }

    private mutating func parseBody() throws -> (operations: [Operation], outputs: [ValueID]) {
        try descend("blocks")
        defer { depth -= 1 }
        try expect("{")
        var operations: [Operation] = []
        while !at("}") {
            if let operation = try parseStatement() { operations.append(operation) }
        }
        try expect("}")
        try expect("->", UInt8(ascii: "-"))
        try expect("(")
        return (operations, try list(until: ")") { try $0.use() })
    }

    private mutating func parseBlock() throws -> Block {
        scopes.append([:])
        defer { scopes.removeLast() }
        let inputs = at("(") ? try parseInputs() : []
        let body = try parseBody()
        return Block(inputs: inputs, operations: body.operations, outputs: body.outputs)
    }

    /// Inline constants are named after the operation and the parameter they belong to.
    private mutating func nameLiterals() {
        var taken = Set(function.values.map(\.name))
        var counts: [String: Int] = [:]
        for (id, base) in unnamed {
            var name: String
            repeat {
                name = "\(base)_\(counts[base, default: 0])"
                counts[base, default: 0] += 1
            } while !taken.insert(name).inserted
            function[id].name = name
        }
    }

    // MARK: Statements

    private struct Output {
        let name: String
        let type: ValueType?
        let place: Token
    }

    /// The operation of a statement; constants become values and give none.
    private mutating func parseStatement() throws -> Operation? {
        var outputs: [Output] = []
        if !(token.kind == .name && following.symbol == UInt8(ascii: "(")) {
            repeat {
                let type = startsType ? try parseType() : nil
                let place = token
                outputs.append(Output(name: try name("a type or the name of an output"), type: type, place: place))
            } while try accept(",")
            try expect("=")
        }
        let place = token
        let op = try name("the name of an op")
        if op == "const" {
            try parseConstant(outputs, place)
            try expect(";")
            return nil
        }
        guard let row = OpTable[op] else { throw failure(place, "There is no op '\(op)'.", .unsupported) }
        try expect("(")
        var arguments = try list(until: ")") { try $0.parseArgument() }
        arguments += try parseAttributes()
        var operation = Operation(op, try bind(arguments, row, base: outputs.first?.name ?? op), outputs: [])
        while at("{") || at("(") { operation.blocks.append(try parseBlock()) }
        try expect(";")
        let types = try outputTypes(operation, declared: outputs, place)
        for (output, type) in zip(outputs, types) {
            operation.outputs.append(try define(output.name, type, at: output.place))
        }
        return operation
    }

    private var isFlexible: Bool { !function.values.allSatisfy(\.type.isFixed) }

    /// The types of the outputs: as declared, checked against the op's row where the inputs are known.
    private func outputTypes(_ operation: Operation, declared: [Output], _ place: Token) throws -> [ValueType] {
        func located<T>(_ body: () throws -> T) throws -> T {
            do {
                return try body()
            } catch let failure as Failure {
                throw failure.at(lexer.place(place.start))
            }
        }
        let call = try located { try Call(operation, in: function) }
        let given = declared.compactMap(\.type)
        let isKnown = operation.inputs.allSatisfy { function[$0].type.isFixed }
        if !isKnown, given.count == declared.count {
            try located { try call.check() }
            return given
        }
        let inferred: [ValueType]
        do {
            inferred = try located { try call.infer() }
        } catch let failure as Failure
            where failure.kind == .unsupported && given.count == declared.count && isFlexible
        {
            // A number that must be known may follow from a shape that is not known yet.
            return given
        }
        guard inferred.count == declared.count else {
            throw failure(
                place,
                "The op '\(operation.op)' gives \(inferred.count) outputs here, and \(declared.count) are named.")
        }
        return try zip(declared, inferred).map { output, type in
            guard let given = output.type else { return type }
            guard given.agrees(with: type) else {
                throw failure(output.place, "The output '\(output.name)' is declared \(given) and is \(type).")
            }
            return given
        }
    }

    private mutating func parseConstant(_ outputs: [Output], _ place: Token) throws {
        guard outputs.count == 1 else { throw failure(place, "A const has one output, not \(outputs.count).") }
        try expect("(")
        try expect(")")
        let attributes = try parseAttributes()
        guard attributes.count == 1, attributes[0].name == "val", attributes[0].values.count == 1 else {
            throw failure(place, "A const has exactly one attribute besides its name: [val = …].")
        }
        let constant: Tensor
        switch (attributes[0].values[0], outputs[0].type) {
        case (.tensor(let tensor), nil): constant = tensor
        case (.tensor(let tensor), .tensor(let type)?) where type == tensor.type: constant = tensor
        case (.tensor(let tensor), let type?):
            throw failure(
                outputs[0].place, "The constant '\(outputs[0].name)' is declared \(type) and is \(tensor.type).")
        case (.literal(let literal), .tensor(let type)?): constant = try tensor(literal, type)
        default: throw failure(attributes[0].place, "The type of '\(outputs[0].name)' is missing: val = tensor<…>(…).")
        }
        _ = try define(outputs[0].name, .tensor(constant.type), constant: constant, at: outputs[0].place)
    }

    // MARK: Arguments

    private struct RawArgument {
        let name: String
        let values: [RawValue]
        let place: Token
    }

    private enum RawValue {
        case value(ValueID)
        case tensor(Tensor)
        /// A literal whose element type is not written.
        case literal(Literal)
    }

    private struct Literal {
        var scalars: [Scalar] = []
        var shape: [Int] = []
        let place: Token
    }

    private enum Scalar {
        case number(Token)
        case complex(Token, Token)
        case truth(Token)
        case string(Token)
    }

    private mutating func parseArgument() throws -> RawArgument {
        let place = token
        let name = try name("the name of a parameter")
        try expect("=")
        guard at("("), following.kind != .number else {
            return RawArgument(name: name, values: [try parseValue()], place: place)
        }
        try advance()
        return RawArgument(name: name, values: try list(until: ")") { try $0.parseValue() }, place: place)
    }

    /// The attributes of an operation, without its name.
    private mutating func parseAttributes() throws -> [RawArgument] {
        guard try accept("[") else { return [] }
        return try list(until: "]") { try $0.parseArgument() }.filter { $0.name != "name" }
    }

    private mutating func parseValue() throws -> RawValue {
        if startsTypedLiteral { return .tensor(try parseTypedLiteral()) }
        let isLiteral = token.kind == .number || token.kind == .string || at("[") || at("(") || atTruth
        return isLiteral ? .literal(try parseLiteral()) : .value(try use())
    }

    /// Turns what was written into values, with element types from the op's row.
    private mutating func bind(_ raw: [RawArgument], _ row: Op, base: String) throws -> [Argument] {
        var seen: Set<String> = []
        let dtypes = raw.flatMap(\.values).compactMap { value -> DataType? in
            switch value {
            case .value(let id): function[id].type.tensor?.dtype
            case .tensor(let tensor): tensor.dtype
            case .literal: nil
            }
        }
        return try raw.map { argument in
            guard seen.insert(argument.name).inserted else {
                throw failure(argument.place, "The parameter '\(argument.name)' is given twice.")
            }
            guard let parameter = row.parameter(argument.name) else {
                let names = row.parameters.map { "'\($0.name)'" }.joined(separator: ", ")
                throw failure(
                    argument.place, "The op '\(row.name)' has no parameter '\(argument.name)'; it has \(names).")
            }
            return Argument(
                argument.name,
                try argument.values.map { value in
                    let constant: Tensor
                    switch value {
                    case .value(let id): return id
                    case .tensor(let tensor): constant = tensor
                    case .literal(let literal):
                        constant = try tensor(literal, TensorType(try dtype(literal, parameter, dtypes), literal.shape))
                    }
                    let id = function.constant(constant, name: "")
                    unnamed.append((id, "\(base)_\(argument.name)"))
                    return id
                })
        }
    }

    /// The element type of a literal: the first of the other arguments' types, the default's, fp32, int32 and all the
    /// rest that suits both literal and parameter. If only integers do, it is int32.
    private func dtype(_ literal: Literal, _ parameter: Op.Parameter, _ others: [DataType]) throws -> DataType {
        let written: Set<DataType> =
            switch literal.scalars.first {
            case .string?: [.string]
            case .truth?: [.bool]
            case .complex?: .complex
            case .number?: .all.subtracting([.bool])
            case nil: Set(DataType.allCases)
            }
        let possible = written.intersection(parameter.dtypes)
        if possible.isSubset(of: .integers), possible.contains(.int32) { return .int32 }
        let usual = (parameter.defaultValue.map { [$0.dtype] } ?? []) + [.float32, .int32] + DataType.allCases
        if let match = (others + usual).first(where: possible.contains) { return match }
        let names = DataType.allCases.filter(parameter.dtypes.contains).map(\.name).joined(separator: ", ")
        throw failure(
            literal.place, "Found \(lexer.description(of: literal.place)) where '\(parameter.name)' takes \(names).")
    }

    // MARK: Literals

    private var atTruth: Bool { token.kind == .name && ["true", "false"].contains(lexer.text(of: token)) }
    private var startsTypedLiteral: Bool {
        token.kind == .name && (following.symbol == UInt8(ascii: "<") || following.symbol == UInt8(ascii: "("))
    }

    private mutating func parseTypedLiteral() throws -> Tensor {
        let place = token
        guard case .tensor(let type) = try parseType() else {
            throw failure(place, "Found \(lexer.description(of: place)) where the type of a tensor is expected.")
        }
        try expect("(")
        let isBlob = token.kind == .name && lexer.text(of: token) == "BLOBFILE"
        let result = try isBlob ? parseBlob(type) : tensor(parseLiteral(), type)
        try expect(")")
        return result
    }

    private mutating func parseBlob(_ type: TensorType) throws -> Tensor {
        let place = token
        try advance()
        try expect("(")
        try expect(word: "path")
        try expect("=")
        guard let path = try parseBlobArgument(.string).strings.first else { throw unexpected("the path of a file") }
        try expect(",")
        try expect(word: "offset")
        try expect("=")
        guard let offset = try parseBlobArgument(.uint64).int(at: 0) else { throw unexpected("the offset in a file") }
        try expect(")")
        do {
            _ = try type.checkedByteCount()
            let tensor = try blobs(path, offset, type)
            guard tensor.type == type else {
                throw Failure(.malformed, "'\(path)' holds \(tensor.type) at \(offset), where \(type) is expected.")
            }
            return tensor
        } catch let failure as Failure {
            throw failure.at(lexer.place(place.start))
        }
    }

    private mutating func parseBlobArgument(_ dtype: DataType) throws -> Tensor {
        let place = token
        switch try parseValue() {
        case .tensor(let tensor) where tensor.type == TensorType(dtype, []): return tensor
        case .literal(let literal): return try tensor(literal, TensorType(dtype, []))
        default: throw failure(place, "Found \(lexer.description(of: place)) where one \(dtype.name) is expected.")
        }
    }

    private mutating func parseLiteral() throws -> Literal {
        var literal = Literal(place: token)
        literal.shape = try parseElements(into: &literal.scalars)
        return literal
    }

    /// Appends one scalar, or all of a list; returns the shape.
    private mutating func parseElements(into scalars: inout [Scalar]) throws -> [Int] {
        guard at("[") else {
            scalars.append(try parseScalar())
            return []
        }
        try descend("lists")
        defer { depth -= 1 }
        try advance()
        var count = 0
        var inner: [Int] = []
        if !at("]") {
            repeat {
                let place = token
                let shape = try parseElements(into: &scalars)
                guard count == 0 || shape == inner else {
                    throw failure(place, "Found an element of shape \(shape) in a list of elements of shape \(inner).")
                }
                inner = shape
                count += 1
            } while try accept(",")
        }
        try expect("]")
        return [count] + inner
    }

    private mutating func parseScalar() throws -> Scalar {
        let start = token
        switch token.kind {
        case .number:
            try advance()
            return .number(start)
        case .string:
            try advance()
            return .string(start)
        case .name where atTruth:
            try advance()
            return .truth(start)
        case .symbol where at("("):
            try advance()
            let parts = try list(until: ")") { parser in
                let part = parser.token
                guard part.kind == .number else { throw parser.unexpected("a number") }
                try parser.advance()
                return part
            }
            guard parts.count == 2 else {
                throw failure(start, "A complex number has a real and an imaginary part, not \(parts.count) parts.")
            }
            return .complex(parts[0], parts[1])
        default: throw unexpected("a literal")
        }
    }

    /// The tensor a literal means under a type. Nothing is allocated before the elements are known to be there.
    private func tensor(_ literal: Literal, _ type: TensorType) throws -> Tensor {
        guard type.isFixed else { throw failure(literal.place, "A constant has a known shape, and \(type) has not.") }
        let isFlat = literal.shape.count == 1 && literal.scalars.count == type.count
        guard isFlat || literal.shape == type.shape else {
            throw failure(
                literal.place,
                "Found \(literal.scalars.count) elements of shape \(literal.shape) where \(type) is expected.")
        }
        if type.dtype == .string {
            let strings = try literal.scalars.map { scalar in
                guard case .string(let token) = scalar else { throw mismatch(scalar, type) }
                return try lexer.unquoted(token)
            }
            return Tensor(strings: strings, shape: type.shape)
        }
        let result = try Tensor(uninitialized: type)
        for (index, scalar) in literal.scalars.enumerated() {
            let place = result.pointer + index * type.dtype.size
            switch scalar {
            case .truth(let token) where type.dtype == .bool:
                place.storeBytes(of: token.end - token.start == 4 ? 1 : 0, as: UInt8.self)
            case .number(let token): try store(token, type, at: place, part: 0)
            case .complex(let real, let imaginary) where type.dtype.isComplex:
                try store(real, type, at: place, part: 0)
                try store(imaginary, type, at: place, part: 1)
            default: throw mismatch(scalar, type)
            }
        }
        return result
    }

    /// Stores a number; one that is complex has two parts, and a lone real part sets the imaginary one to 0.
    private func store(_ token: Token, _ type: TensorType, at place: UnsafeMutableRawPointer, part: Int) throws {
        let dtype = type.dtype
        guard let bits = dtype.bits(lexer.text(of: token)) else { throw mismatch(.number(token), type) }
        let size = dtype.isComplex ? dtype.size / 2 : dtype.size
        withUnsafeBytes(of: bits.littleEndian) { bytes in
            (place + part * size).copyMemory(from: bytes.baseAddress!, byteCount: size)
        }
        if dtype.isComplex, part == 0 { (place + size).initializeMemory(as: UInt8.self, repeating: 0, count: size) }
    }

    private func mismatch(_ scalar: Scalar, _ type: TensorType) -> Failure {
        switch scalar {
        case .number(let token), .complex(let token, _), .truth(let token), .string(let token):
            failure(token, "Found \(lexer.description(of: token)) where an element of \(type.dtype.name) is expected.")
        }
    }

    // MARK: Types

    /// Whether a type stands here: `tensor<`, or an element type before a name.
    private var startsType: Bool {
        guard token.kind == .name else { return false }
        if following.symbol == UInt8(ascii: "<") { return true }
        return following.kind == .name || following.kind == .quotedName
    }

    private mutating func parseType() throws -> ValueType {
        try descend("types")
        defer { depth -= 1 }
        let place = token
        guard token.kind == .name else { throw unexpected("a type") }
        let word = lexer.text(of: token)
        try advance()
        guard try accept("<") else { return .tensor(TensorType(try element(word, place), [])) }
        let result: ValueType
        switch word {
        case "tensor":
            let placeOfElement = token
            let dtype = try element(try name("the type of the elements"), placeOfElement)
            try expect(",")
            try expect("[")
            let type = TensorType(dtype, try list(until: "]") { try $0.parseSize() })
            do {
                result = .tensor(try type.bounded())
            } catch let failure as Failure {
                throw failure.at(lexer.place(place.start))
            }
        case "state":
            guard case .tensor(let type) = try parseType() else {
                throw failure(place, "Found a state of something else where a state of a tensor is expected.")
            }
            result = .state(type)
        case "list":
            let element = try parseType()
            try expect(",")
            let length = try parseSize()
            result = .list(element, length: length < 0 ? nil : length)
        case "tuple": return .tuple(try list(until: ">") { try $0.parseType() })
        case "dict":
            let key = try parseType()
            try expect(",")
            result = .dictionary(key: key, value: try parseType())
        default:
            throw failure(place, "Found '\(word)<' where tensor, state, list, tuple or dict is expected.")
        }
        try expect(">")
        return result
    }

    private func element(_ word: String, _ place: Token) throws -> DataType {
        if let dtype = DataType(name: word) { return dtype }
        switch word {
        case "uint1", "uint2", "uint3", "uint4", "uint6": return .uint8
        case "int4": return .int8
        default:
            throw failure(place, "Found '\(word)' where an element type such as fp16, int32 or string is expected.")
        }
    }

    /// The size of a dimension or the length of a list, -1 where it is written `?`.
    private mutating func parseSize() throws -> Int {
        if try accept("?") { return -1 }
        guard token.kind == .number, let size = Int(lexer.text(of: token)), size >= 0 else {
            throw unexpected("a size or '?'")
        }
        try advance()
        return size
    }

    // MARK: Names

    private mutating func define(
        _ name: String, _ type: ValueType, constant: Tensor? = nil, at place: Token
    ) throws -> ValueID {
        guard !scopes.contains(where: { $0[name] != nil }) else {
            throw failure(place, "There is already a value named '\(name)'.")
        }
        let id = function.add(Value(name: name, type: type, constant: constant))
        scopes[scopes.count - 1][name] = id
        return id
    }

    /// The value a name refers to.
    private mutating func use() throws -> ValueID {
        let place = token
        let name = try name("a value")
        for scope in scopes.reversed() {
            if let id = scope[name] { return id }
        }
        throw failure(place, "There is no value named '\(name)' before this line.")
    }

    private mutating func name(_ wanted: String) throws -> String {
        guard token.kind == .name || token.kind == .quotedName else { throw unexpected(wanted) }
        let name = token.kind == .name ? lexer.text(of: token) : try lexer.unquoted(token)
        try advance()
        return name
    }

    // MARK: Tokens

    private mutating func advance() throws {
        token = following
        following = try lexer.next()
    }

    private func at(_ symbol: Unicode.Scalar) -> Bool { token.symbol == UInt8(ascii: symbol) }

    private mutating func accept(_ symbol: Unicode.Scalar) throws -> Bool {
        guard at(symbol) else { return false }
        try advance()
        return true
    }

    private mutating func expect(_ symbol: Unicode.Scalar) throws {
        try expect(String(symbol), UInt8(ascii: symbol))
    }

    private mutating func expect(_ text: String, _ symbol: UInt8) throws {
        guard token.symbol == symbol else { throw unexpected("'\(text)'") }
        try advance()
    }

    private mutating func expect(word: String) throws {
        guard token.kind == .name, lexer.text(of: token) == word else { throw unexpected("'\(word)'") }
        try advance()
    }

    mutating func expectEnd() throws {
        guard token.kind == .end else { throw unexpected("the end of the text") }
    }

    /// Items between commas up to a closing bracket, which is read too.
    private mutating func list<T>(until close: Unicode.Scalar, _ item: (inout Parser) throws -> T) throws -> [T] {
        var items: [T] = []
        if !at(close) {
            repeat { items.append(try item(&self)) } while try accept(",")
        }
        try expect(close)
        return items
    }

    /// Reads attributes without understanding them; returns the first string of each.
    private mutating func skippedAttributes() throws -> [String: String] {
        guard try accept("[") else { return [:] }
        var result: [String: String] = [:]
        var key = ""
        var open = 1
        while open > 0 {
            switch token.symbol {
            case UInt8(ascii: "["), UInt8(ascii: "("), UInt8(ascii: "{"), UInt8(ascii: "<"): open += 1
            case UInt8(ascii: "]"), UInt8(ascii: ")"), UInt8(ascii: "}"), UInt8(ascii: ">"): open -= 1
            default: break
            }
            if token.kind == .end { throw unexpected("']' at the end of the attributes") }
            if open == 1, token.kind == .name, following.symbol == UInt8(ascii: "=") { key = lexer.text(of: token) }
            if token.kind == .string, result[key] == nil { result[key] = try lexer.unquoted(token) }
            try advance()
        }
        return result
    }

    private mutating func descend(_ what: String) throws {
        depth += 1
        guard depth <= Parser.deepest else {
            throw failure(token, "More than \(Parser.deepest) \(what) are nested here.")
        }
    }

    // MARK: Failures

    private func unexpected(_ wanted: String) -> Failure {
        failure(token, "Found \(lexer.description(of: token)) where \(wanted) is expected.")
    }

    private func failure(_ place: Token, _ message: String, _ kind: Failure.Kind = .malformed) -> Failure {
        lexer.failure(at: place.start, message, kind)
    }
}

/// Core ML's names of its opsets, in text and in specifications.
enum Opset {
    static let byText = [
        "ios15": "CoreML5", "ios16": "CoreML6", "ios17": "CoreML7", "ios18": "CoreML8", "ios26": "CoreML9",
    ]
    static let text = Dictionary(uniqueKeysWithValues: byText.map { ($0.value, $0.key) })
}

extension Program {
    /// The default function where the text names none.
    static func usualDefault(_ functions: [Function]) -> String {
        functions.contains { $0.name == "main" } ? "main" : functions.first?.name ?? "main"
    }
}

extension TensorType {
    /// The type itself, or a failure where even with unknown dimensions taken as 1 it is larger than any tensor.
    fileprivate func bounded() throws -> TensorType {
        _ = try TensorType(dtype, shape.map { max($0, 1) }).checkedByteCount()
        return self
    }
}

extension ValueType {
    fileprivate var isFixed: Bool {
        switch self {
        case .tensor(let type), .state(let type): type.isFixed
        default: false
        }
    }

    /// Whether two types say the same, sizes that one of them does not know aside.
    fileprivate func agrees(with other: ValueType) -> Bool {
        guard case .tensor(let a) = self, case .tensor(let b) = other else { return self == other }
        return a.dtype == b.dtype && a.rank == b.rank
            && zip(a.shape, b.shape).allSatisfy { $0 == $1 || $0 < 0 || $1 < 0 }
    }
}
