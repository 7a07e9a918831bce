%% Diameter messages as octets: read into a tree by our dictionary, written as JSON, and wrong on purpose.
-module(pcrf_wire).
-export([tree/1, flag_faults/1, json/4, find/2, garbage/3]).

-define(TGPP, 10415).

%% {Header, [{Code, Vendor, Flags, Name, Type, Octets | [Tree]}]} of a whole message.
tree(<<1, _:24, Flags, Command:24, App:32, Hop:32, End:32, Avps/binary>>) ->
    {#{flags => Flags, command => Command, app => App, hop => Hop, 'end' => End}, avps(Avps)}.

avps(<<Code:32, Flags, Length:24, Rest/binary>>) when Length >= 8 ->
    HasVendor = Flags band 16#80 =/= 0,
    Head = if HasVendor -> 12; true -> 8 end,
    Size = Length - Head,
    Pad = (4 - Length rem 4) rem 4,
    case {HasVendor, Rest} of
        {true, <<Vendor:32, Data:Size/binary, More/binary>>} when Size >= 0 ->
            [avp(Code, Vendor, Flags, Data) | avps(skip(Pad, More))];
        {false, <<Data:Size/binary, More/binary>>} ->
            [avp(Code, 0, Flags, Data) | avps(skip(Pad, More))];
        _ -> []
    end;
avps(_) ->
    [].

skip(N, Bin) when byte_size(Bin) >= N -> binary:part(Bin, N, byte_size(Bin) - N);
skip(_, _) -> <<>>.

avp(Code, Vendor, Flags, Data) ->
    case pcrf_rx:avp_name(Code, if Vendor =:= 0 -> undefined; true -> Vendor end) of
        {Name, 'Grouped'} -> {Code, Vendor, Flags, Name, 'Grouped', avps(Data)};
        {Name, Type} -> {Code, Vendor, Flags, Name, Type, Data};
        'AVP' -> {Code, Vendor, Flags, '?', 'OctetString', Data}
    end.

%% The first top-level AVP of that name: its octets or its children.
find(Name, Avps) ->
    case lists:keyfind(Name, 4, Avps) of
        false -> none;
        Avp -> element(6, Avp)
    end.

%% -- flags (RFC 6733 4.1, TS 29.214 Table 5.3.0.1) --------------------------------------------------

flag_faults(Avps) ->
    lists:flatmap(fun flag_fault/1, Avps).

flag_fault({_, _, _, '?', _, _}) ->
    [];
flag_fault({_, _, Flags, Name, Type, Data}) ->
    {_, Wanted, _} = pcrf_rx:avp_header(Name),
    Below = case Type of 'Grouped' -> flag_faults(Data); _ -> [] end,
    M = Flags band 16#40, WantedM = Wanted band 16#40,
    Reserved = Flags band 16#1F,
    [{5004, io_lib:format("~s comes with the M bit ~s", [Name, word(M)])} || M =/= WantedM]
        ++ [{5004, io_lib:format("~s has reserved flag bits", [Name])} || Reserved =/= 0]
        ++ Below.

word(0) -> "clear";
word(_) -> "set".

%% -- JSON ---------------------------------------------------------------------------------------------

%% One line, in the form of the other PCRF's record; Faults are texts.
json(Direction, Command, {#{flags := Flags}, Avps}, Faults) ->
    ["{\"t_us\":", integer_to_list(os:system_time(microsecond)),
     ",\"dir\":\"", atom_to_list(Direction), "\",\"command\":\"", atom_to_list(Command),
     "\",\"error\":", bool(Flags band 16#20), ",\"retransmitted\":", bool(Flags band 16#10),
     [[",\"faults\":[", join([text(unicode:characters_to_binary(F)) || F <- Faults]), "]"]
      || Faults =/= []],
     ",\"avps\":", list(Avps), "}\n"].

bool(0) -> "false";
bool(_) -> "true".

list(Avps) -> ["[", join([one(A) || A <- Avps]), "]"].

join(Parts) -> lists:join(",", Parts).

one({Code, Vendor, Flags, Name, Type, Data}) ->
    ["{\"name\":\"", atom_to_list(Name), "\",\"code\":", integer_to_list(Code), ",\"vendor\":",
     integer_to_list(Vendor), ",\"flags\":\"",
     [C || {C, Bit} <- [{$V, 16#80}, {$M, 16#40}, {$P, 16#20}], Flags band Bit =/= 0], "\",",
     case Type of
         'Grouped' -> ["\"avps\":", list(Data)];
         _ -> ["\"value\":", value(Name, Type, Data)]
     end, "}"].

value('Framed-IP-Address', _, <<A, B, C, D>>) -> text(list_to_binary(inet:ntoa({A, B, C, D})));
value(_, 'Unsigned32', <<N:32>>) -> integer_to_list(N);
value(_, 'Unsigned64', <<N:64>>) -> integer_to_list(N);
value(_, 'Enumerated', <<N:32/signed>>) -> integer_to_list(N);
value(_, 'Integer32', <<N:32/signed>>) -> integer_to_list(N);
value(_, 'Time', <<N:32>>) -> integer_to_list(N);
value(_, 'Address', <<1:16, A, B, C, D>>) -> text(list_to_binary(inet:ntoa({A, B, C, D})));
value(_, _, Data) ->
    case is_list(unicode:characters_to_list(Data)) of
        true -> text(Data);
        false -> text(binary:encode_hex(Data))
    end.

text(Bin) -> [$", [escape(C) || C <- unicode:characters_to_list(Bin)], $"].

escape($") -> "\\\"";
escape($\\) -> "\\\\";
escape(C) when C < 32 -> io_lib:format("\\u~4.16.0b", [C]);
escape(C) -> unicode:characters_to_binary([C]).

%% -- answers that no PCRF should give --------------------------------------------------------------------

%% The answer to that request, spoiled; Good is the right answer's octets.
garbage(avp_length, {H, Avps}, _) -> %% an AVP that is longer than the message
    message(H, [avp_bin(263, find('Session-Id', Avps)), <<268:32, 16#40, 2000:24, 2001:32>>]);
garbage(avp_zero, {H, Avps}, _) -> %% a length that does not cover its own header
    message(H, [avp_bin(263, find('Session-Id', Avps)), <<268:32, 16#40, 0:24, 2001:32>>]);
garbage(group_length, {H, Avps}, _) -> %% an AVP that is longer than the group around it
    Inner = <<298:32, 16#40, 400:24, 5063:32>>,
    message(H, [avp_bin(263, find('Session-Id', Avps)), avp_bin(297, Inner)]);
garbage(number_length, {H, Avps}, _) -> %% a Result-Code of five octets
    message(H, base(Avps) ++ [avp_bin(268, <<1, 2, 3, 4, 5>>)]);
garbage(no_result, {H, Avps}, _) ->
    message(H, base(Avps));
garbage(no_session, {H, Avps}, _) ->
    [_ | Rest] = base(Avps),
    message(H, Rest ++ [avp_bin(268, <<2001:32>>)]);
garbage(session, {H, Avps}, _) ->
    [_ | Rest] = base(Avps),
    message(H, [avp_bin(263, <<"pcrf.ims.test;0;0;somebody-elses">>) | Rest]
            ++ [avp_bin(268, <<2001:32>>)]);
garbage(end_to_end, {#{'end' := End} = H, Avps}, _) ->
    message(H#{'end' := End bxor 16#5555}, base(Avps) ++ [avp_bin(268, <<2001:32>>)]);
garbage(hop_by_hop, {#{hop := Hop} = H, Avps}, _) ->
    message(H#{hop := Hop bxor 16#5555}, base(Avps) ++ [avp_bin(268, <<2001:32>>)]);
garbage(command, {H, Avps}, _) -> %% STA for an AAR
    message(H#{command := 275}, base(Avps) ++ [avp_bin(268, <<2001:32>>)]);
garbage(mandatory, {H, Avps}, _) -> %% an AVP that nobody knows, to be understood
    message(H, base(Avps) ++ [avp_bin(268, <<2001:32>>),
                              <<9999:32, 16#C0, 16:24, ?TGPP:32, 7:32>>]);
garbage(noise, {H, _}, _) ->
    message(H, [crypto:strong_rand_bytes(64)]);
garbage(short, _, <<V, _:24, Rest/binary>>) -> %% the length of the header alone, then the rest
    <<V, 20:24, Rest/binary>>.

base(Avps) ->
    [avp_bin(263, find('Session-Id', Avps)), avp_bin(258, <<16777236:32>>),
     avp_bin(264, <<"pcrf.ims.test">>), avp_bin(296, <<"ims.test">>)].

message(#{flags := Flags, command := Command, app := App, hop := Hop, 'end' := End}, Avps) ->
    Body = iolist_to_binary(Avps),
    <<1, (20 + byte_size(Body)):24, (Flags band 16#40), Command:24, App:32, Hop:32, End:32,
      Body/binary>>.

avp_bin(Code, Data) ->
    Length = 8 + byte_size(Data),
    Pad = (4 - Length rem 4) rem 4,
    <<Code:32, 16#40, Length:24, Data/binary, 0:(Pad * 8)>>.
