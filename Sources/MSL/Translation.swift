import MIL

/// A source in the Metal Shading Language said in C++: what differs is replaced token by token, so that lines stay.
struct Translation {
    /// The C++ without the standard library in front of it.
    let text: String

    init(preprocessed source: String) throws {
        let tokens = Token.split(source)
        try Lint.check(tokens)
        var writer = Writer(try Declarations(tokens))
        try writer.rewrite()
        text = writer.text + (try writer.table())
    }

    /// What a source is called in messages of the compiler.
    static let sourceName = "program_source"
}

private struct Writer {
    let all: Declarations
    private var tokens: [Token] { all.tokens }
    /// What stands for a token instead of its text.
    private var replaced: [Int: String] = [:]
    /// What stands in front of a token, and behind it.
    private var before: [Int: String] = [:]
    private var after: [Int: String] = [:]
    private var variables = 0

    init(_ declarations: Declarations) { all = declarations }

    private static let elements = [
        "bool", "char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "half", "float",
    ]
    private static let vectors = Set(elements.flatMap { element in (2...4).map { "\(element)\($0)" } })
    private static let dropped: Set<String> = ["device", "thread", "threadgroup_imageblock", "ray_data", "object_data"]

    mutating func rewrite() throws {
        for index in tokens.indices { token(index) }
        let bodies = try all.bodies()
        for body in bodies { try Lint.check(statements: tokens[body]) }
        for index in Set(bodies.joined()) { variable(index) }
        for range in try all.copies() + all.instances.map(\.range) {
            for index in range { (before[index], replaced[index], after[index]) = (nil, "", nil) }
        }
        for kernel in all.kernels { try header(kernel) }
        try threadgroupVariables()
    }

    private func text(_ index: Int) -> String { all.text(index) }

    // MARK: Tokens

    private mutating func token(_ index: Int) {
        let token = tokens[index]
        if token.kind == .number { replaced[index] = Writer.number(token.text) }
        if token.text == "(" { cast(index) }
        if ["/", "%", "/=", "%="].contains(token.text) { quotient(index) }
        guard token.kind == .word else { return }
        switch token.text {
        case let word where Writer.dropped.contains(word): replaced[index] = ""
        case "constant": replaced[index] = "const"
        case "static_cast" where text(index + 1) == "<":
            let end = all.closeAngle(index + 1) ?? index
            let isPlain = !(index..<end).contains { ["&", "*"].contains(text($0)) }
            if isPlain {
                replaced[index] = "mk_cast"
                truths(end + 1)
            }
        case "vec" where text(index + 1) == "<":
            guard let end = all.closeAngle(index + 1), text(end + 1) == "(", text(index - 1) != "operator" else {
                return
            }
            replaced[index] = "mk_make<vec"
            replaced[end] = ">>"
            truths(end + 1)
        case let word where text(index + 1) == "(" && makes(word):
            guard ![".", "->", "operator", "~", "struct", "class"].contains(text(index - 1)), !declares(index + 1)
            else { return }
            if let start = qualified(index) {
                before[start, default: ""] += "mk_make<"
                replaced[index] = "\(word)>"
            } else {
                replaced[index] = "mk_make<\(word)>"
            }
            truths(index + 1)
        default: break
        }
    }

    /// Where `typename Wide<half>::` begins in front of a type's name; nil where nothing but a library's name is there.
    private func qualified(_ index: Int) -> Int? {
        var place = index
        while text(place - 1) == "::" {
            place -= 2
            var depth = 0
            repeat {
                if text(place) == ">" { depth += 1 }
                if text(place) == "<" { depth -= 1 }
                if depth > 0 || text(place) == "<" { place -= 1 }
            } while place > 0 && (depth > 0 || text(place + 1) == "<" && tokens[place].kind != .word)
        }
        guard place < index, place >= 0, !["metal", "simd"].contains(text(place)) else { return nil }
        return text(place - 1) == "typename" ? place - 1 : place
    }

    /// What a vector is made of, between the parentheses that open here, may be comparisons.
    private mutating func truths(_ open: Int) {
        guard text(open) == "(", let end = try? all.close(open), let parts = try? all.parts(open + 1..<end) else {
            return
        }
        for part in parts where !part.isEmpty && isComparison(part) {
            before[part.lowerBound, default: ""] += "mk_truth("
            after[part.upperBound - 1, default: ""] += ")"
        }
    }

    private static let logical: Set<String> = ["&", "|", "^", "&&", "||", "!"]

    /// Whether tokens compare, outside of all brackets and without choosing by it.
    private func isComparison(_ range: Range<Int>) -> Bool {
        var (place, found): (Int, Bool) = (range.lowerBound, text(range.lowerBound) == "!")
        while place < range.upperBound {
            switch text(place) {
            case "(":
                let end = (try? all.close(place)) ?? range.upperBound
                // A comparison in parentheses, alone or beside others.
                let isOperand = place == range.lowerBound || Writer.logical.contains(text(place - 1))
                let isWhole = end + 1 >= range.upperBound || Writer.logical.contains(text(end + 1))
                found = found || isOperand && isWhole && place + 1 < end && isComparison(place + 1..<end)
                place = end
            case "[", "{": place = (try? all.close(place)) ?? range.upperBound
            case "?", "<<": return false
            case "<":
                let end = all.closeAngle(place).flatMap { ["(", "::", "{"].contains(text($0 + 1)) ? $0 : nil }
                found = found || end == nil
                place = end ?? place
            case ">":
                // Two signs in a row shift.
                guard text(place + 1) != ">" else { return false }
                found = true
            case "<=", ">=", "==", "!=": found = true
            default: break
            }
            place += 1
        }
        return found
    }

    /// `float3 v(x, 1, 2), w(0);` in a function: clang would take one number only.
    private mutating func variable(_ index: Int) {
        guard tokens[index].kind == .word, makes(text(index)), tokens.indices.contains(index + 2),
            ![".", "->"].contains(text(index - 1)), text(index - 1) != "::" || qualified(index) == nil
        else { return }
        var name = index + 1
        while name + 1 < tokens.count, tokens[name].kind == .word, text(name + 1) == "(",
            let end = try? all.close(name + 1), end > name + 2, [";", ","].contains(text(end + 1))
        {
            replaced[name] = "\(text(name)) = mk_make<\(text(index))>"
            truths(name + 1)
            name = end + 2
            guard text(end + 1) == "," else { return }
        }
    }

    private func makes(_ word: String) -> Bool { Writer.vectors.contains(word) || all.typeNames.contains(word) }

    /// Whether `(&name)[4]` or `(*name)(int)` follows a type's name.
    private func declares(_ open: Int) -> Bool {
        ["&", "*"].contains(text(open + 1)) && text(open + 3) == ")" && ["[", "("].contains(text(open + 4))
    }

    /// `1.0` is a float and `1.0h` a half; there are no doubles.
    private static func number(_ text: String) -> String {
        let lower = text.lowercased()
        let isHex = lower.hasPrefix("0x")
        guard lower.contains(isHex ? "p" : ".") || !isHex && lower.contains("e") || !isHex && lower.hasSuffix("h")
        else { return text }
        if lower.hasSuffix("bf") { return "((bfloat)\(text.dropLast(2))f)" }
        if lower.hasSuffix("h") {
            return lower.contains(".") || lower.contains("e") ? "((half)\(text.dropLast())f)" : text
        }
        return lower.hasSuffix("f") ? text : text + "f"
    }

    /// `a / b` and `a %= b`, where b may be 0.
    private mutating func quotient(_ index: Int) {
        let sign = text(index)
        guard text(index - 1) != "operator" else { return }
        if sign.hasSuffix("="), let type = targetType(index) {
            replaced[index] = "\(sign) mk_into<\(type)>() \(sign)"
        } else if sign != "/=" {
            replaced[index] = "\(sign) mk_by() \(sign)"
        }
    }

    /// The type of what stands in front of an assignment, as C++.
    private func targetType(_ assignment: Int) -> String? {
        target(assignment).map { "decltype(\(all.joined($0..<assignment)))" }
    }

    /// Where `a.b[i]` begins in front of an assignment.
    private func target(_ assignment: Int) -> Int? {
        var place = assignment - 1
        while place >= 0 {
            if let open = ["]": "[", ")": "("][text(place)] {
                let closing = text(place)
                var depth = 0
                repeat {
                    depth += text(place) == closing ? 1 : text(place) == open ? -1 : 0
                    place -= 1
                } while depth > 0 && place >= 0
                let isCalled = place >= 0 && (tokens[place].kind == .word || text(place) == "]")
                if !isCalled || ["if", "while", "for", "switch"].contains(text(place)) { return place + 1 }
            } else if place >= 0, tokens[place].kind == .word {
                guard [".", "->", "::"].contains(text(place - 1)) else { return place }
                place -= 2
            } else {
                return nil
            }
        }
        return nil
    }

    /// `(float4)x` where x may be a vector of another type.
    private mutating func cast(_ index: Int) {
        guard Writer.vectors.contains(text(index + 1)), text(index + 2) == ")", index + 3 < tokens.count else { return }
        let next = tokens[index + 3]
        guard next.kind == .word || next.kind == .number || next.text == "(" else { return }
        let before = index > 0 ? tokens[index - 1] : tokens[index]
        guard before.kind == .symbol && before.text != ")" && before.text != "]" || before.text == "return" else {
            return
        }
        // After a sign the cast would bind to the sign.
        let isSign = ["-", "+", "!", "~", "&", "*"].contains(before.text)
        let earlier = index > 1 ? tokens[index - 2] : before
        let isBinary = earlier.kind != .symbol || [")", "]"].contains(earlier.text)
        guard !isSign || isBinary && earlier.text != "return" else { return }
        replaced[index] = "mk_caster<"
        replaced[index + 2] = ">{}->*"
        if next.text == "(", let end = try? all.close(index + 3), isComparison(index + 4..<end) {
            replaced[index + 2] = ">{}->*mk_truth"
        }
    }

    // MARK: Kernels

    /// A kernel is an ordinary function here; what its parameters are bound to stands in the table.
    private mutating func header(_ kernel: Declarations.Kernel) throws {
        let name = kernel.list.lowerBound - 2
        for index in kernel.start..<name where ["static", "inline", "kernel"].contains(text(index)) {
            replaced[index] = ""
        }
        var place = kernel.start
        while place < kernel.list.upperBound {
            if all.isAttribute(place) {
                let end = try all.close(place)
                for index in place...end { replaced[index] = "" }
                place = end
            }
            place += 1
        }
        replaced[kernel.start] = "static inline " + (replaced[kernel.start] ?? text(kernel.start))
    }

    /// `threadgroup float x[4];` in a kernel is memory of the group's; elsewhere the word only says where something lies.
    private mutating func threadgroupVariables() throws {
        for index in tokens.indices where text(index) == "threadgroup" {
            replaced[index] = ""
            let kernel = all.kernels.first { $0.body.contains(index) }
            guard let end = storageEnd(index) else { continue }
            guard let kernel else {
                let isInFunction = all.chunks.contains { $0.range.contains(index) }
                throw Failure.atLine(
                    tokens[index].line,
                    isInFunction
                        ? "a threadgroup variable is declared in a kernel, and handed to functions by a pointer"
                        : "a threadgroup variable cannot stand outside a kernel")
            }
            let declared = (index + 1..<end).map { replaced[$0] ?? text($0) }.joined(separator: " ")
            let struct_ = "mk_memory\(variables)"
            variables += 1
            let own = kernel.template.map { "\(kernel.name)<\($0.joined(separator: ", "))>" } ?? kernel.name
            replaced[index] = "struct \(struct_) { \(declared); }; static thread_local"
            replaced[end] = "; (void)mk::Claim<&\(own), \(struct_), sizeof(\(struct_))>::made;"
        }
    }

    /// Where a declaration of memory ends; nil for pointers, parameters and casts.
    private func storageEnd(_ index: Int) -> Int? {
        guard index == 0 || ["{", "}", ";", ")", ":"].contains(text(index - 1)) || tokens[index - 1].kind == .directive
        else { return nil }
        var place = index + 1
        while place < tokens.count {
            switch text(place) {
            case ";": return place
            case "*", "&", "=", ")", "{": return nil
            case "[", "(": place = (try? all.close(place)) ?? tokens.count
            case "<": place = all.closeAngle(place) ?? place
            default: break
            }
            place += 1
        }
        return nil
    }

    // MARK: Writing

    /// The tokens, each on its line of the source.
    var text: String {
        var result = "#line 1 \"\(Translation.sourceName)\"\n"
        var line = 1
        for (index, token) in tokens.enumerated() {
            if token.kind == .directive {
                result += "\n\(token.text)\n#line \(token.line) \"\(Translation.sourceName)\"\n"
                line = token.line
                continue
            }
            if token.line != line {
                let isNear = token.line > line && token.line - line < 8
                result +=
                    isNear
                    ? String(repeating: "\n", count: token.line - line)
                    : "\n#line \(token.line) \"\(Translation.sourceName)\"\n"
                line = token.line
            }
            if token.isSpaced { result += " " }
            result += before[index] ?? ""
            result += replaced[index] ?? token.text
            if replaced[index] != nil { result += " " }
            result += after[index] ?? ""
        }
        return result
    }

    private static let positions: Set<String> = [
        "thread_position_in_grid", "thread_position_in_threadgroup", "thread_index_in_threadgroup",
        "threadgroup_position_in_grid", "threads_per_grid", "threads_per_threadgroup",
        "dispatch_threads_per_threadgroup", "threadgroups_per_grid", "thread_index_in_simdgroup",
        "simdgroup_index_in_threadgroup", "threads_per_simdgroup", "simdgroups_per_threadgroup",
        "dispatch_simdgroups_per_threadgroup", "thread_index_in_quadgroup", "quadgroup_index_in_threadgroup",
        "quadgroups_per_threadgroup", "dispatch_quadgroups_per_threadgroup", "grid_origin",
    ]
    /// Attributes under older names.
    private static let renamed = ["grid_size": "threads_per_grid", "thread_execution_width": "threads_per_simdgroup"]

    /// What the parameters of a kernel are bound to, as C++.
    private func sources(_ kernel: Declarations.Kernel) throws -> [String] {
        var free = Set(0..<31)
        for case let ("buffer", argument) in kernel.parameters.flatMap(\.attributes) {
            if let index = Int(argument) { free.remove(index) }
        }
        return try kernel.parameters.map { parameter in
            for (name, argument) in parameter.attributes {
                if name == "buffer" || name == "threadgroup" {
                    return "mk::From<mk::\(name == "buffer" ? "buffer" : "threadgroup_memory"), (\(argument))>"
                }
                let name = Writer.renamed[name] ?? name
                if Writer.positions.contains(name) { return "mk::From<mk::\(name), 0>" }
                throw Failure.atLine(parameter.line, "[[\(name)]] is no attribute that a kernel's parameter has")
            }
            guard parameter.isPointer, let index = free.min() else {
                throw Failure.atLine(
                    parameter.line,
                    "the parameter '\(parameter.name)' of '\(kernel.name)' needs an attribute such as [[buffer(0)]] or "
                        + "[[thread_position_in_grid]]")
            }
            if parameter.space == "threadgroup" { return "mk::From<mk::threadgroup_memory, 0>" }
            free.remove(index)
            return "mk::From<mk::buffer, \(index)>"
        }
    }

    /// The table of kernels that the library exports.
    func table() throws -> String {
        var (rows, names): ([String], [String]) = ([], [])
        func add(_ host: String, _ expression: String, _ kernel: Declarations.Kernel) throws {
            let function = (kernel.scope + [expression]).joined(separator: "::")
            let sources = ([""] + (try sources(kernel))).joined(separator: ", ")
            let list = kernel.parameters.map { "\"\($0.space ?? ""):\($0.name)\"" }.joined(separator: ", ")
            let waits = all.waits(kernel.name)
            names.append("static const char *const mk_names\(rows.count)[] = {\(list.isEmpty ? "\"\"" : list)};")
            rows.append(
                "{\"\(host)\", \(waits), \(kernel.mostThreads ?? "1024"), &mk::Memory<&\(function)>::bytes, "
                    + "\(kernel.parameters.count), mk::Rows<&\(function)\(sources)>::all, mk_names\(rows.count), "
                    + "mk::Kernel<&\(function)\(sources)>::\(waits ? "fibers" : "loops")},")
        }
        for kernel in all.kernels where kernel.template == nil {
            try add(kernel.hostName ?? kernel.name, kernel.name, kernel)
        }
        for instance in all.instances {
            guard let kernel = all.kernels.first(where: { $0.name == instance.kernel }) else {
                throw Failure.atLine(instance.line, "there is no template of a kernel '\(instance.kernel)'")
            }
            try add(instance.hostName, instance.expression, kernel)
        }
        return """

            #line 1 "martlet_table"
            \(names.joined(separator: "\n"))
            extern "C" __attribute__((visibility("default"), used)) const mk::Entry martlet_kernels[] = {
            \(rows.joined(separator: "\n"))
            {} };

            """
    }
}
