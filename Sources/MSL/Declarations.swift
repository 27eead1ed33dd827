import MIL

/// What stands at the top of a source: functions, types, kernels, and requests to instantiate templates of these.
struct Declarations {
    struct Parameter {
        /// Names of attributes and what stands in their parentheses: `buffer` and `0`.
        let attributes: [(name: String, argument: String)]
        let name: String
        let line: Int
        let isPointer: Bool
        /// `device`, `constant` or `threadgroup`.
        let space: String?
    }

    struct Kernel {
        let name: String
        /// Names of the template's parameters; nil for what is no template.
        let template: [String]?
        let parameters: [Parameter]
        let line: Int
        let mostThreads: String?
        /// The name in `[[host_name(...)]]`.
        let hostName: String?
        let scope: [String]
        /// Where the declaration, its list of parameters, and its body are.
        let start: Int
        let list: Range<Int>
        let body: Range<Int>
    }

    struct Instance {
        let hostName: String
        /// `name<float, 4>`.
        let expression: String
        let kernel: String
        let line: Int
        let range: Range<Int>
    }

    struct Chunk {
        let name: String
        let words: Set<String>
        let isPlainFunction: Bool
        let line: Int
        let range: Range<Int>
        /// Between the braces of a function.
        var body: Range<Int>?
        /// The namespaces it stands in.
        var scope: [String] = []
    }

    private(set) var kernels: [Kernel] = []
    private(set) var instances: [Instance] = []
    private(set) var chunks: [Chunk] = []
    /// Names that stand for types: parameters of templates and aliases.
    private(set) var typeNames: Set<String> = []
    let tokens: [Token]

    init(_ tokens: [Token]) throws {
        self.tokens = tokens
        collectAliases()
        try scan()
        try checkCalls()
    }

    // MARK: Reading

    func text(_ index: Int) -> String { tokens.indices.contains(index) ? tokens[index].text : "" }

    func joined(_ range: Range<Int>) -> String {
        range.map { tokens[$0].text }.joined(separator: " ")
    }

    /// The index of what closes the bracket at `index`.
    func close(_ index: Int) throws -> Int {
        let pairs = ["(": ")", "[": "]", "{": "}"]
        var open: [String] = []
        for place in index..<tokens.count where tokens[place].kind == .symbol {
            if let closing = pairs[tokens[place].text] {
                open.append(closing)
            } else if tokens[place].text == open.last {
                open.removeLast()
                if open.isEmpty { return place }
            }
        }
        throw Failure.atLine(tokens[index].line, "'\(tokens[index].text)' is never closed")
    }

    /// The index of the `>` that closes the `<` at `index`; nil where it is a comparison.
    func closeAngle(_ index: Int) -> Int? {
        var depth = 0
        var place = index
        while place < tokens.count {
            switch text(place) {
            case "<": depth += 1
            case ">":
                depth -= 1
                if depth == 0 { return place }
            case "(", "[":
                guard let end = try? close(place) else { return nil }
                place = end
            case ";", "{", "}", ")", "]", "&&", "||": return nil
            default: break
            }
            place += 1
        }
        return nil
    }

    func isAttribute(_ index: Int) -> Bool { text(index) == "[" && text(index + 1) == "[" }

    /// The parts of a range between commas that stand in no brackets.
    func parts(_ range: Range<Int>) throws -> [Range<Int>] {
        var (result, start, place): ([Range<Int>], Int, Int) = ([], range.lowerBound, range.lowerBound)
        while place < range.upperBound {
            switch text(place) {
            case "(", "[", "{": place = try close(place)
            case "<": place = closeAngle(place) ?? place
            case ",":
                result.append(start..<place)
                start = place + 1
            default: break
            }
            place += 1
        }
        return range.isEmpty ? [] : result + [start..<min(place, range.upperBound)]
    }

    private mutating func collectAliases() {
        for index in tokens.indices where tokens[index].kind == .word {
            if text(index) == "using", text(index + 2) == "=" { typeNames.insert(text(index + 1)) }
            if text(index) == "typedef", let end = end(ofTypedef: index), tokens[end - 1].kind == .word {
                typeNames.insert(text(end - 1))
            }
            if text(index) == "template", text(index + 1) == "<", let end = closeAngle(index + 1) {
                for part in (try? parts(index + 2..<end)) ?? []
                where ["typename", "class"].contains(text(part.lowerBound)) {
                    if let name = parameterName(part) { typeNames.insert(name) }
                }
            }
        }
    }

    /// Where an alias ends: the semicolon that stands in no braces.
    private func end(ofTypedef start: Int) -> Int? {
        var place = start
        while place < tokens.count, text(place) != ";" {
            if text(place) == "{" { place = (try? close(place)) ?? tokens.count }
            place += 1
        }
        return place < tokens.count ? place : nil
    }

    /// The name of a template's parameter: the last word before a default.
    private func parameterName(_ part: Range<Int>) -> String? {
        let end = part.first { text($0) == "=" } ?? part.upperBound
        guard end > part.lowerBound, tokens[end - 1].kind == .word else { return nil }
        return text(end - 1)
    }

    // MARK: Scanning

    private mutating func scan() throws {
        var (index, scope): (Int, [String]) = (0, [])
        while index < tokens.count {
            let isExtern = text(index) == "extern" && tokens[min(index + 1, tokens.count - 1)].kind == .text
            if text(index) == "inline", text(index + 1) == "namespace" {
                index += 1
            } else if text(index) == "namespace" || isExtern, let brace = opening(index) {
                scope.append(isExtern || brace == index + 1 ? "" : joined(index + 1..<brace))
                index = brace + 1
            } else if text(index) == "}", !scope.isEmpty {
                scope.removeLast()
                index += 1
            } else if tokens[index].kind == .directive || text(index) == ";" {
                index += 1
            } else {
                index = try declaration(index, scope)
            }
        }
    }

    private func opening(_ index: Int) -> Int? {
        tokens[index...].prefix(12).firstIndex { $0.text == "{" || $0.text == ";" || $0.text == "=" }
            .flatMap { text($0) == "{" ? $0 : nil }
    }

    /// Notes the declaration that begins here and answers where the next begins.
    private mutating func declaration(_ start: Int, _ scope: [String]) throws -> Int {
        var (index, template): (Int, [String]?) = (start, nil)
        while text(index) == "template", text(index + 1) == "<", let end = closeAngle(index + 1) {
            template = (template ?? []) + (try parts(index + 2..<end)).compactMap(parameterName)
            index = end + 1
        }
        if text(index) == "template" { return try instance(index) }
        let shape = try shape(index)
        let range = start..<shape.end
        guard let list = shape.list, let body = shape.body else {
            chunks.append(
                Chunk(
                    name: shape.name, words: words(range), isPlainFunction: false, line: tokens[start].line,
                    range: range))
            return shape.end
        }
        let name = shape.function
        let parts = try parts(list)
        try Lint.check(parameters: parts.map { tokens[$0] })
        chunks.append(
            Chunk(
                name: name, words: words(range), isPlainFunction: template == nil, line: tokens[start].line,
                range: range, body: body, scope: scope))
        if let kernel = (index..<list.lowerBound).first(where: { text($0) == "kernel" }) {
            let attributes = try attributes(in: index..<list.lowerBound)
            kernels.append(
                Kernel(
                    name: name, template: template, parameters: try parts.map(parameter), line: tokens[kernel].line,
                    mostThreads: attributes.first { $0.name == "max_total_threads_per_threadgroup" }?.argument,
                    hostName: attributes.first { $0.name == "host_name" }.map { Declarations.unquoted($0.argument) },
                    scope: scope.filter { !$0.isEmpty }, start: index, list: list, body: body))
        }
        return shape.end
    }

    private struct Shape {
        var end: Int
        var name = ""
        /// The name in front of the parentheses.
        var function = ""
        /// Between the parentheses of a function's parameters.
        var list: Range<Int>?
        /// Between the braces of its body.
        var body: Range<Int>?
    }

    /// What kind of declaration begins at `start`, and where it ends.
    private func shape(_ start: Int) throws -> Shape {
        var shape = Shape(end: tokens.count)
        var (place, isAssigned): (Int, Bool) = (start, false)
        var name: Int?
        let notNames: Set<String> = ["decltype", "alignas", "__attribute__", "sizeof", "noexcept", "METAL_ALIGN"]
        while place < tokens.count {
            switch text(place) {
            case "[": place = try close(place)
            case "operator" where shape.list == nil:
                // Its name is a sign, which may look like a bracket or an assignment.
                place += text(place + 1) == "(" ? 2 : 1
                while place + 1 < tokens.count, text(place + 1) != "(" { place += 1 }
                (name, isAssigned) = (place, false)
            case "<":
                guard !isAssigned, let end = closeAngle(place) else { break }
                // `half4 load<half>(...)`: the name of a function stands in front of what it is specialized for.
                if place > start, tokens[place - 1].kind == .word, text(end + 1) == "(" { name = place - 1 }
                place = end
            case "=": isAssigned = true
            case "(":
                let end = try close(place)
                if place > start, tokens[place - 1].kind == .word { name = place - 1 }
                if shape.list == nil, !isAssigned, let name, !notNames.contains(text(name)) {
                    shape.list = place + 1..<end
                    shape.function = text(name)
                }
                name = nil
                place = end
            case "{":
                let end = try close(place)
                if shape.list != nil, !isAssigned {
                    shape.body = place + 1..<end
                    shape.end = end + 1
                    return shape
                }
                place = end
            case ";":
                shape.end = place + 1
                return shape
            case "struct", "class", "union", "enum": if shape.name.isEmpty { shape.name = typeName(place) }
            case "using": shape.name = text(place + 1)
            default: break
            }
            place += 1
        }
        return shape
    }

    private func typeName(_ index: Int) -> String {
        let name = ["class", "struct"].contains(text(index + 1)) ? index + 2 : index + 1
        return text(name)
    }

    private func words(_ range: Range<Int>) -> Set<String> {
        Set(range.filter { tokens[$0].kind == .word }.map(text))
    }

    /// `template [[host_name("x")]] kernel void name<float>(...);`, or with `decltype(name<float>)` as the type.
    private mutating func instance(_ start: Int) throws -> Int {
        guard let end = tokens[start...].firstIndex(where: { $0.text == ";" }) else {
            throw Failure.atLine(tokens[start].line, "this template never ends")
        }
        let header = start..<end
        guard header.contains(where: { text($0) == "kernel" }) else { return end + 1 }
        let host = try attributes(in: header).first { $0.name == "host_name" }
        var name: Range<Int>?
        if let type = header.first(where: { text($0) == "decltype" && text($0 + 1) == "(" }) {
            name = type + 2..<(try close(type + 1))
        } else if let angle = header.first(where: {
            text($0) == "<" && closeAngle($0).map { text($0 + 1) == "(" } == true
        }) {
            name = angle - 1..<(closeAngle(angle) ?? angle) + 1
        }
        guard let name, !name.isEmpty else {
            throw Failure.atLine(tokens[start].line, "this names no template of a kernel to instantiate")
        }
        instances.append(
            Instance(
                hostName: host.map { Declarations.unquoted($0.argument) } ?? text(name.lowerBound),
                expression: joined(name), kernel: text(name.lowerBound), line: tokens[start].line,
                range: start..<end + 1))
        return end + 1
    }

    private static func unquoted(_ text: String) -> String { String(text.filter { $0 != "\"" && $0 != " " }) }

    /// The attributes in `[[...]]` between two places.
    private func attributes(in range: Range<Int>) throws -> [(name: String, argument: String)] {
        var result: [(String, String)] = []
        var place = range.lowerBound
        while place < range.upperBound {
            guard isAttribute(place) else {
                place += 1
                continue
            }
            let end = try close(place)
            for part in try parts(place + 2..<end - 1) where !part.isEmpty {
                let open = part.first { text($0) == "(" }
                let argument = try open.map { joined($0 + 1..<(try close($0))) } ?? ""
                result.append((text((open ?? part.upperBound) - 1), argument))
            }
            place = end + 1
        }
        return result
    }

    private func parameter(_ range: Range<Int>) throws -> Parameter {
        let end = range.first(where: isAttribute) ?? range.upperBound
        let plain = range.lowerBound..<end
        let space = plain.map(text).first { ["device", "constant", "threadgroup"].contains($0) }
        let bracket = plain.first { text($0) == "[" }
        let last = (bracket ?? end) - 1
        return Parameter(
            attributes: try attributes(in: range), name: plain.contains(last) ? text(last) : "",
            line: tokens[min(range.lowerBound, tokens.count - 1)].line,
            isPointer: bracket != nil || plain.contains { ["*", "&"].contains(text($0)) }, space: space)
    }

    // MARK: Copies

    /// Functions that are others' copies but for address spaces, which the CPU does not have.
    func copies() throws -> [Range<Int>] {
        let spaces: Set<String> = ["device", "thread", "threadgroup", "threadgroup_imageblock"]
        func plain(_ range: Range<Int>) -> [String] {
            range.map { text($0) == "constant" ? "const" : text($0) }.reduce(into: []) { words, word in
                let isSaid = spaces.contains(word) || word == "const" && words.last == word
                if !isSaid { words.append(word) }
            }
        }
        var (known, result): ([[String]: [String]], [Range<Int>]) = ([:], [])
        for chunk in chunks {
            guard let body = chunk.body else {
                try result += copiedMembers(chunk.range, plain)
                continue
            }
            let head = chunk.scope + plain(chunk.range.lowerBound..<body.lowerBound)
            guard let other = known.updateValue(plain(body), forKey: head) else { continue }
            guard other == plain(body) else {
                throw Failure.atLine(
                    chunk.line,
                    "'\(chunk.name)' differs from another function by address spaces alone, which the CPU cannot tell "
                        + "apart", .unsupported)
            }
            result.append(chunk.range)
        }
        return result
    }

    /// Members of a structure that stand there once for each address space.
    private func copiedMembers(_ range: Range<Int>, _ plain: (Range<Int>) -> [String]) throws -> [Range<Int>] {
        guard let open = range.first(where: { text($0) == "{" }), range.contains(where: isStructure),
            text(open - 1) != "="
        else { return [] }
        var (known, result): (Set<[String]>, [Range<Int>]) = ([], [])
        var (start, place) = (open + 1, open + 1)
        let end = try close(open)
        while place < end {
            var isLast = text(place) == ";"
            if text(place) == "(" || text(place) == "[" { place = try close(place) }
            if text(place) == "{" {
                let isBody = opensBody(place)
                place = try close(place)
                isLast = isBody
            }
            place += 1
            guard isLast else { continue }
            if !known.insert(plain(start..<place)).inserted, place > start + 1 { result.append(start..<place) }
            start = place
        }
        return result
    }

    private func isStructure(_ index: Int) -> Bool { ["struct", "class", "union"].contains(text(index)) }

    /// Whether a brace opens the body of a function.
    private func opensBody(_ brace: Int) -> Bool {
        let qualifiers: Set<String> = ["const", "device", "constant", "thread", "threadgroup"]
        return text(brace - 1) == ")" || qualifiers.contains(text(brace - 1))
    }

    /// What stands between the braces of functions and of methods.
    func bodies() throws -> [Range<Int>] {
        try chunks.flatMap { chunk -> [Range<Int>] in
            if let body = chunk.body { return [body] }
            return try chunk.range.filter { text($0) == "{" && opensBody($0) }.map { $0 + 1..<(try close($0)) }
        }
    }

    // MARK: Calls

    /// Functions of one meaning must not call themselves.
    private func checkCalls() throws {
        let counts = chunks.reduce(into: [String: Int]()) { $0[$1.name, default: 0] += 1 }
        let plain = chunks.filter { $0.isPlainFunction && counts[$0.name] == 1 }
        let names = Set(plain.map(\.name))
        var calls: [String: Set<String>] = [:]
        for chunk in plain {
            let own = chunk.range.first { text($0) == chunk.name && text($0 + 1) == "(" } ?? chunk.range.lowerBound
            calls[chunk.name] = Set(
                (own + 1..<chunk.range.upperBound).filter {
                    text($0 + 1) == "(" && ![".", "->", "::"].contains(text($0 - 1))
                }.map(text)
            ).intersection(names)
        }
        try Lint.check(
            recursion: calls, lines: Dictionary(plain.map { ($0.name, $0.line) }, uniquingKeysWith: { a, _ in a }))
    }

    /// Whether a kernel reaches anything that lets threads wait for each other.
    func waits(_ kernel: String) -> Bool {
        let words = chunks.reduce(into: [String: Set<String>]()) { $0[$1.name, default: []].formUnion($1.words) }
        var (seen, open): (Set<String>, [String]) = ([kernel], [kernel])
        while let name = open.popLast() {
            for word in words[name] ?? [] where seen.insert(word).inserted {
                if word == "threadgroup_barrier" || word == "simdgroup_barrier" { return true }
                if word.hasPrefix("simd_") || word.hasPrefix("quad_") { return true }
                if words[word] != nil { open.append(word) }
            }
        }
        return false
    }
}
